#include "engine/onnxruntime/cuda/cuda_engine.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "engine/onnxruntime/cuda/cuda_model.h"
#include "engine/onnxruntime/cuda/device_code.h"
#include "engine/onnxruntime/cuda/first_run.h"
#include "engine/onnxruntime/cuda/provider.h"
#include "engine/onnxruntime/cuda/replicas.h"
#include "engine/onnxruntime/cuda/uncaptured_model.h"
#include "engine/onnxruntime/inspect.h"

namespace tessera::engine {
namespace {

constexpr Bytes kScratchAddresses{std::uint64_t{16} << 30};

}  // namespace

Result<std::unique_ptr<CudaEngine>> CudaEngine::create(device::CudaDevice& device, std::span<const CudaShared> others) {
  // Workspaces that cuBLAS allocates itself would be nodes of the captured graphs, and cannot be cloned.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0", 0);
  const std::shared_ptr<device::Gpu> gpu = device.gpu();
  TESSERA_RETURN_IF_ERROR(check_architecture(*gpu, provider_file()));
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const Environment> environment, Environment::create());
  const auto sibling =
      std::find_if(others.begin(), others.end(), [&](const CudaShared& other) { return other.gpu == gpu; });
  std::shared_ptr<DeviceAllocator> allocator;
  std::shared_ptr<const device::PlanKernels> kernels;
  if (sibling != others.end()) {
    allocator = sibling->allocator;
    kernels = sibling->kernels;
  } else {
    TESSERA_ASSIGN_OR_RETURN(allocator, DeviceAllocator::make(environment, gpu->ordinal()));
    TESSERA_ASSIGN_OR_RETURN(kernels, device::PlanKernels::load(gpu));
  }
  TESSERA_ASSIGN_OR_RETURN(
      std::unique_ptr<device::DeviceRegion> scratch,
      device::DeviceRegion::reserve(gpu, kScratchAddresses, std::make_shared<device::MemoryBudget>(std::nullopt)));
  auto parts = std::make_shared<CudaParts>(
      CudaParts{.device = device,
                .gpu = gpu,
                .environment = std::move(environment),
                .copies = std::make_shared<CopyCounter>(),
                .allocator = allocator,
                .kernels = std::move(kernels),
                .replicas = others.empty() ? std::make_shared<Replicas>() : others.front().replicas,
                .handles = nullptr,
                .scratch = nullptr});
  parts->scratch = std::make_unique<Registered<HeapSource>>(*allocator, std::move(scratch));
  TESSERA_RETURN_IF_ERROR(check_provider(*parts));
  const device::CurrentContext current(*gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(parts->handles, ProviderCalls::install());
  if (sibling == others.end()) {
    if (const Status done = run_libraries_once(*parts); !done.ok()) {
      TESSERA_RETURN_IF_ERROR(check_first_run(*gpu, done.error()));
      log(LogLevel::kWarning, "CUDA's libraries fail in their first run; the first load may hold up others",
          {{"gpu", std::int64_t{gpu->ordinal()}}, {"reason", done.error().message()}});
    }
  }
  return std::unique_ptr<CudaEngine>(new CudaEngine(std::move(parts)));  // NOLINT: the constructor is private
}

std::string CudaEngine::version() const { return std::string(Ort::GetVersionString()) + " cuda"; }

std::string CudaEngine::options() const { return provider_settings(); }

Result<FileSignature> CudaEngine::inspect(const std::filesystem::path& file) {
  return inspect_file(*parts_->environment, file);
}

Result<std::unique_ptr<LoadedModel>> CudaEngine::load(const LoadOptions& options) {
  std::optional<FileSignature> signature = options.signature;
  if (!signature) {
    TESSERA_ASSIGN_OR_RETURN(signature, inspect_file(*parts_->environment, options.file));
  }
  return options.uncaptured_in ? UncapturedModel::load(parts_, options, *signature, *options.uncaptured_in)
                               : CudaModel::load(parts_, options, *signature);
}

}  // namespace tessera::engine
