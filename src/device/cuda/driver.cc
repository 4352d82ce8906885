#include "device/cuda/driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

namespace tessera::device {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";
constexpr const char* kMaxConnections = "32";
constexpr const char* kNeeded = "CUDA 13.0 (driver 580) or newer is needed";

using GetProcAddress = decltype(&cuGetProcAddress);

// Fills one entry of the table. False: the driver has none of that version.
template <typename Entry>
bool find(GetProcAddress get, const char* name, Entry& entry) {
  void* address = nullptr;
  CUdriverProcAddressQueryResult found{};
  if (get(name, &address, CUDA_VERSION, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &found) != CUDA_SUCCESS ||
      found != CU_GET_PROC_ADDRESS_SUCCESS) {
    return false;
  }
  entry = reinterpret_cast<Entry>(address);
  return entry != nullptr;
}

}  // namespace

Result<Driver> Driver::open() {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return unavailable(std::string("no NVIDIA driver on this host (") + kLibrary +
                       " cannot be opened): install it, or use --device host");
  }
  // dlsym knows the oldest version of a name; this one carries its version in the name.
  return from(reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2")));
}

Result<Driver> Driver::from(GetProcAddress get) {
  if (get == nullptr) {
    return unsupported(std::string("the NVIDIA driver is too old: ") + kNeeded);
  }
  Driver driver;
#define TESSERA_CUDA_FIND(member, entry)                                                               \
  if (!find(get, #entry, driver.member)) {                                                             \
    return unsupported(std::string("the NVIDIA driver is too old, it has no " #entry ": ") + kNeeded); \
  }
  TESSERA_CUDA_ENTRIES(TESSERA_CUDA_FIND)
#undef TESSERA_CUDA_FIND
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", kMaxConnections, 0);
  const CUresult result = driver.init(0);
  if (result == CUDA_ERROR_NO_DEVICE) {
    return unavailable("the NVIDIA driver finds no GPU on this host: use --device host");
  }
  if (const Status status = driver.check(result, "start the NVIDIA driver"); !status.ok()) {
    return unavailable(status.error().message());
  }
  return driver;
}

Status Driver::check(CUresult result, std::string_view doing) const {
  if (result == CUDA_SUCCESS) {
    return ok_status();
  }
  const char* name = nullptr;
  if (get_error_name(result, &name) != CUDA_SUCCESS || name == nullptr) {
    name = "unknown error";
  }
  const ErrorCode code = is_sticky(result)                    ? ErrorCode::kDeviceLost
                         : result == CUDA_ERROR_OUT_OF_MEMORY ? ErrorCode::kOutOfMemory
                                                              : ErrorCode::kInternal;
  return Error(code, std::string(doing) + ": " + name + " (" + std::to_string(static_cast<int>(result)) + ")");
}

bool is_sticky(CUresult result) {
  switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_MPS_CLIENT_TERMINATED:
    case CUDA_ERROR_EXTERNAL_DEVICE:
    case CUDA_ERROR_UNKNOWN:
      return true;
    default:
      return false;
  }
}

}  // namespace tessera::device
