#include "apps/devices.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/driver.h"
#include "device/cuda/gpu.h"
#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"

namespace tessera::apps {
namespace {

// Tensors are aligned inside their block, so a block is a little larger than the largest body.
Bytes largest_block(Bytes max_body) { return {2 * max_body.value}; }

std::string describe(const DeviceShape& shape, const std::string& card) {
  return shape.name + (card.empty() ? "" : ", " + card) + ", " + std::to_string(shape.processors_in(shape.whole())) +
         " processors";
}

Result<Computing> open_host(const device::HostTopology& topology, Bytes max_body) {
  device::HostOptions host;
  host.cores.assign(topology.cpus().begin(), topology.cpus().end());
  host.staging.largest = std::max(host.staging.largest, largest_block(max_body));
  Computing out;
  out.kind = "host";
  TESSERA_ASSIGN_OR_RETURN(out.device, device::make_host_device(host));
  TESSERA_ASSIGN_OR_RETURN(out.engine, engine::OnnxEngine::create(topology));
  out.description = describe(out.device->shape(), "");
  return out;
}

// A thread that spins would take half of a small host from those who serve connections.
constexpr std::uint16_t kFewCores = 2;
constexpr std::chrono::microseconds kPollPause{50};
constexpr Bytes kPinned{512ULL << 20};

Result<device::CudaOptions> cuda_options(const device::CudaDeviceSpec& spec, Bytes max_body) {
  device::CudaOptions options{.spec = spec};
  options.staging.largest = Bytes{std::bit_ceil(std::max(options.staging.largest, largest_block(max_body)).value)};
  options.staging.total = std::max(kPinned, Bytes{2 * options.staging.largest.value});
  TESSERA_ASSIGN_OR_RETURN(const auto all, device::HostTopology::of());
  if (all.atoms() <= kFewCores) options.poll_pause = kPollPause;
  return options;
}

Result<Computing> open_cuda(const device::CudaDeviceSpec& spec, Bytes max_body) {
  TESSERA_ASSIGN_OR_RETURN(const auto driver, device::Driver::open());
  TESSERA_ASSIGN_OR_RETURN(auto gpu, device::Gpu::open(driver, spec.gpu));
  const std::string card = gpu->name();
  TESSERA_ASSIGN_OR_RETURN(const auto options, cuda_options(spec, max_body));
  TESSERA_ASSIGN_OR_RETURN(auto device, device::make_cuda_device(std::move(gpu), options));
  return unavailable("this build has no engine for GPUs: use --device host");
}

Result<Computing> open_cuda_devices(const std::vector<device::CudaDeviceSpec>& specs, Bytes max_body) {
  if (specs.size() > 1) {
    return unsupported("this build serves from one device, and " + std::to_string(specs.size()) +
                       " are named: start a server for each");
  }
  return open_cuda(specs.front(), max_body);
}

}  // namespace

Result<DeviceChoice> parse_device(std::string_view text) {
  if (text == "auto") return DeviceChoice{};
  if (text == "host") return DeviceChoice{DeviceChoice::Kind::kHost};
  if (!text.starts_with("cuda")) {
    return invalid_argument("'" + std::string(text) + "' is none of host | auto | cuda:N");
  }
  TESSERA_ASSIGN_OR_RETURN(auto specs, device::parse_cuda_devices(text));
  return DeviceChoice{DeviceChoice::Kind::kCuda, std::move(specs)};
}

Result<Computing> open_device(const DeviceChoice& choice, const device::HostTopology& host, Bytes max_body) {
  if (choice.kind == DeviceChoice::Kind::kHost) return open_host(host, max_body);
  if (choice.kind == DeviceChoice::Kind::kCuda) {
    auto opened = open_cuda_devices(choice.cuda, max_body);
    return opened.ok() ? std::move(opened) : opened.error().in("--device");
  }
  auto opened = open_cuda({}, max_body);
  if (opened.ok()) return opened;
  log(LogLevel::kInfo, "computing on the host's cores, as no GPU can be used", {{"reason", opened.error().message()}});
  return open_host(host, max_body);
}

}  // namespace tessera::apps
