#include "tests/support/cuda/call_rules.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace tessera::device::contract {
namespace {

// A pageable copy in pieces of this size leaves neighbours alone; in one piece they wait for all of it.
constexpr std::size_t kLargestPageable = std::size_t{64} << 10;

template <std::size_t Count>
bool is_one_of(std::string_view name, const std::array<std::string_view, Count>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 12> kPins{"cuMemHostAlloc",     "cuMemAllocHost",      "cuMemFreeHost",
                                                 "cuMemHostRegister",  "cuMemHostUnregister", "cudaHostAlloc",
                                                 "cudaMallocHost",     "cudaFreeHost",        "cudaHostRegister",
                                                 "cudaHostUnregister", "cudaMallocManaged",   "cuMemAllocManaged"};
constexpr std::array<std::string_view, 2> kFrees{"cuMemFree", "cudaFree"};
constexpr std::array<std::string_view, 3> kSlices{"cuGreenCtxCreate", "cuGreenCtxDestroy", "cuCtxDestroy"};
constexpr std::array<std::string_view, 4> kDeviceWide{"cuCtxSynchronize", "cuDevicePrimaryCtxReset",
                                                      "cudaDeviceSynchronize", "cudaDeviceReset"};
// In one piece, and the caller waits.
constexpr std::array<std::string_view, 4> kCopies{"cuMemcpy", "cuMemcpyHtoD", "cudaMemcpy", "cudaMemcpyToSymbol"};

bool is_suffix_of_version(std::string_view part) {
  return part == "ptds" || part == "ptsz" ||
         (part.size() > 1 && part.front() == 'v' &&
          std::all_of(part.begin() + 1, part.end(), [](unsigned char c) { return std::isdigit(c) != 0; }));
}

}  // namespace

std::string plain_name(std::string_view name) {
  for (std::size_t at = name.rfind('_'); at != std::string_view::npos && is_suffix_of_version(name.substr(at + 1));
       at = name.rfind('_')) {
    name = name.substr(0, at);
  }
  return std::string(name);
}

std::optional<std::string> why_forbidden(const CudaCall& call) {
  if (is_one_of(call.name, kPins) && call.in_primary) {
    return "launches wait for all of it; with a second context current they do not";
  }
  if (is_one_of(call.name, kFrees) && !call.null_handle) {
    return "waits for every kernel, and launches wait for it";
  }
  if (is_one_of(call.name, kSlices)) {
    return "waits for every kernel, and nothing new begins meanwhile";
  }
  if (is_one_of(call.name, kDeviceWide)) {
    return "waits for everybody's work";
  }
  if (is_one_of(call.name, kCopies) && call.to_card && call.pageable && call.bytes > kLargestPageable) {
    return "a copy of " + std::to_string(call.bytes) + " pageable bytes in one piece: launches wait for all of it";
  }
  if (call.null_stream) {
    return "work of the legacy stream: on all processors, and in no slice";
  }
  return std::nullopt;
}

}  // namespace tessera::device::contract
