#include "apps/devices.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "base/host_memory.h"
#include "base/log.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/driver.h"
#include "device/cuda/gpu.h"
#include "device/host/host_device.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "engine/onnxruntime/onnx_engine.h"

namespace tessera::apps {
namespace {

// Tensors are aligned inside their block, so a block is a little larger than the largest body.
Bytes largest_block(Bytes max_body) { return {2 * max_body.value}; }

std::string describe(const DeviceShape& shape, const std::string& card) {
  return shape.name + (card.empty() ? "" : ", " + card) + ", " + std::to_string(shape.processors_in(shape.whole())) +
         " processors";
}

Result<Computing> open_host(const device::HostTopology& topology, Bytes max_body, std::string name = "host") {
  device::HostOptions host;
  host.name = std::move(name);
  host.cores.assign(topology.cpus().begin(), topology.cpus().end());
  host.staging.largest = std::max(host.staging.largest, largest_block(max_body));
  Computing out;
  out.kind = "host";
  TESSERA_ASSIGN_OR_RETURN(out.device, device::make_host_device(host));
  TESSERA_ASSIGN_OR_RETURN(out.engine, engine::OnnxEngine::create(topology));
  out.description = describe(out.device->shape(), "");
  return out;
}

constexpr std::uint16_t kMaxHostPlaces = 4096;

// A thread that spins would take half of a small host from those who serve connections.
constexpr std::uint16_t kFewCores = 2;
constexpr std::chrono::microseconds kPollPause{50};
constexpr Bytes kPinned{512ULL << 20};
constexpr std::size_t kFewestStreams = 4;  // for launches, before any is kept for workers

std::string part_text(const Slice& part) {
  const std::string first = std::to_string(part.first);
  return "host/" + (part.count == 1 ? first : first + "-" + std::to_string(part.end() - 1));
}

// Each part has an engine of its own, whose threads live on its processors.
Result<std::vector<Computing>> open_host_parts(const std::vector<Slice>& parts, const device::HostTopology& all,
                                               Bytes max_body) {
  std::vector<Computing> out;
  for (const Slice& part : parts) {
    if (part.end() > all.atoms()) {
      return invalid_argument(part_text(part) + ": there are " + std::to_string(all.atoms()) +
                              " processors to compute on, counted from 0");
    }
    TESSERA_ASSIGN_OR_RETURN(const auto own, device::HostTopology::of(all.cpus_of(part)));
    TESSERA_ASSIGN_OR_RETURN(auto opened, open_host(own, max_body, part_text(part)));
    out.push_back(std::move(opened));
  }
  return out;
}

// A place, or the first and the last one.
Result<Slice> parse_host_part(std::string_view text) {
  const auto malformed = [&] {
    return invalid_argument("'" + std::string(text) + "' is no part of the host: host/0 or host/0-3");
  };
  constexpr std::string_view kPrefix = "host/";
  if (!text.starts_with(kPrefix)) return malformed();
  const std::string_view range = text.substr(kPrefix.size());
  const std::size_t dash = range.find('-');
  const auto number = [](std::string_view digits, std::uint16_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() && value < kMaxHostPlaces;
  };
  std::uint16_t first = 0;
  if (!number(range.substr(0, dash), first)) return malformed();
  std::uint16_t last = first;
  if (dash != std::string_view::npos && !number(range.substr(dash + 1), last)) return malformed();
  if (last < first) return malformed();
  return Slice{first, static_cast<std::uint16_t>(last - first + 1)};
}

Result<std::vector<Slice>> parse_host_parts(std::string_view text) {
  std::vector<Slice> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    TESSERA_ASSIGN_OR_RETURN(const Slice part, parse_host_part(text.substr(begin, end - begin)));
    for (const Slice& other : parts) {
      if (part.overlaps(other)) {
        return invalid_argument("'" + part_text(part) + "' and '" + part_text(other) + "' share a processor");
      }
    }
    parts.push_back(part);
    begin = end + 1;
  }
  if (parts.size() > device::kMaxDevices) {
    return invalid_argument("more than " + std::to_string(device::kMaxDevices) + " devices");
  }
  return parts;
}

// What is open of GPUs, and how more are opened.
struct OpenGpus {
  DeviceOpener::OpenDriver driver;
  std::vector<engine::CudaShared> shared{};    // by what engines share of them
  std::optional<CompletionMode> completion{};  // of the first one opened
};

Result<std::shared_ptr<device::Gpu>> gpu_of(int number, const OpenGpus& opened) {
  const auto open = std::find_if(opened.shared.begin(), opened.shared.end(),
                                 [&](const engine::CudaShared& other) { return other.gpu->ordinal() == number; });
  if (open != opened.shared.end()) return open->gpu;
  TESSERA_ASSIGN_OR_RETURN(const auto driver, opened.driver());
  return device::Gpu::open(driver, number);
}

Result<Computing> open_cuda(const device::CudaDeviceSpec& spec, std::size_t parts, Bytes max_body, OpenGpus& opened) {
  TESSERA_ASSIGN_OR_RETURN(const auto gpu, gpu_of(spec.gpu, opened));
  TESSERA_ASSIGN_OR_RETURN(const auto options, cuda_options(spec, parts, max_body, *opened.completion));
  TESSERA_ASSIGN_OR_RETURN(auto device, device::make_cuda_device(gpu, options));
  TESSERA_ASSIGN_OR_RETURN(auto engine, engine::CudaEngine::create(*device, opened.shared));
  opened.shared.push_back(engine->shared());
  Computing out;
  out.kind = "cuda";
  out.description = describe(device->shape(), gpu->name());
  out.engine = std::move(engine);
  out.device = std::move(device);
  TESSERA_ASSIGN_OR_RETURN(const Bytes memory, gpu->memory());
  TESSERA_ASSIGN_OR_RETURN(const int cards, device::Gpu::count(gpu->driver()));
  out.max_homes = homes_in(memory, host_memory(), cards, parts);
  return out;
}

Result<std::vector<Computing>> open_cuda_devices(const std::vector<device::CudaDeviceSpec>& specs,
                                                 CompletionMode completion, Bytes max_body, OpenGpus& opened) {
  if (!opened.completion) opened.completion = completion;
  std::vector<Computing> out;
  for (const device::CudaDeviceSpec& spec : specs) {
    const auto parts =
        std::count_if(specs.begin(), specs.end(), [&](const auto& other) { return other.gpu == spec.gpu; });
    TESSERA_ASSIGN_OR_RETURN(auto unit, open_cuda(spec, static_cast<std::size_t>(parts), max_body, opened));
    out.push_back(std::move(unit));
  }
  return out;
}

std::vector<Computing> alone(Computing opened) {
  std::vector<Computing> out;
  out.push_back(std::move(opened));
  return out;
}

}  // namespace

device::CudaOptions cuda_options(const device::CudaDeviceSpec& spec, std::size_t parts, Bytes max_body,
                                 CompletionMode completion, std::uint16_t cores) {
  device::CudaOptions options{.spec = spec};
  options.copies = static_cast<std::uint16_t>(std::max<std::size_t>(options.copies / parts, 1));
  const std::size_t others = device::other_streams(options.copies);
  const std::size_t streams = std::max(device::Gpu::kMaxStreams / parts, others) - others;
  // Those of workers come second: most models are captured.
  const std::size_t workers = std::max<std::size_t>(device::kWorkerStreams / parts, 1);
  options.streams = streams >= workers + kFewestStreams ? streams - workers : streams;
  options.staging.largest = Bytes{std::bit_ceil(std::max(options.staging.largest, largest_block(max_body)).value)};
  options.staging.total = std::max(kPinned, Bytes{2 * options.staging.largest.value});
  const bool sleeps =
      completion == CompletionMode::kLowPower || (completion == CompletionMode::kAuto && cores <= kFewCores);
  if (sleeps) options.poll_pause = kPollPause;
  return options;
}

Result<device::CudaOptions> cuda_options(const device::CudaDeviceSpec& spec, std::size_t parts, Bytes max_body,
                                         CompletionMode completion) {
  TESSERA_ASSIGN_OR_RETURN(const auto all, device::HostTopology::of());
  return cuda_options(spec, parts, max_body, completion, all.atoms());
}

std::size_t homes_in(Bytes card_memory, Bytes host_memory, int cards, std::size_t parts) {
  // Bytes of one: device/cuda/homed_graph.h.
  constexpr std::uint64_t kOnCard = 700'000;
  constexpr std::uint64_t kOnHost = 4'000'000;  // with the graph that has been freed since: less is not measured yet
  constexpr std::uint64_t kPartOfCard = 16;
  constexpr std::uint64_t kPartOfHost = 4;
  constexpr std::size_t kFewest = 128;  // of a device
  constexpr std::size_t kMost = 8192;   // all that 25 models of two lanes and five batch sizes can have
  const std::uint64_t fit = std::min(card_memory.value / kPartOfCard / kOnCard,
                                     host_memory.value / kPartOfHost / static_cast<std::uint64_t>(cards) / kOnHost);
  return std::clamp<std::size_t>(fit / parts, kFewest, kMost);
}

Result<DeviceChoice> parse_device(std::string_view text) {
  if (text == "auto") return DeviceChoice{};
  if (text == "host") return DeviceChoice{DeviceChoice::Kind::kHost};
  if (text.starts_with("host/")) {
    TESSERA_ASSIGN_OR_RETURN(auto parts, parse_host_parts(text));
    return DeviceChoice{DeviceChoice::Kind::kHost, {}, std::move(parts)};
  }
  if (!text.starts_with("cuda")) {
    return invalid_argument("'" + std::string(text) + "' is none of host | auto | cuda:N");
  }
  TESSERA_ASSIGN_OR_RETURN(auto specs, device::parse_cuda_devices(text));
  return DeviceChoice{DeviceChoice::Kind::kCuda, std::move(specs)};
}

struct DeviceOpener::Opened {
  OpenGpus gpus;
};

DeviceOpener::DeviceOpener(OpenDriver driver) : opened_(std::make_shared<Opened>(Opened{{std::move(driver)}})) {}

Result<std::vector<Computing>> DeviceOpener::operator()(const DeviceChoice& choice, const device::HostTopology& host,
                                                        Bytes max_body) const {
  if (choice.kind == DeviceChoice::Kind::kCuda || !choice.host.empty()) {
    auto opened = choice.kind == DeviceChoice::Kind::kCuda
                      ? open_cuda_devices(choice.cuda, choice.completion, max_body, opened_->gpus)
                      : open_host_parts(choice.host, host, max_body);
    return opened;
  }
  if (choice.kind == DeviceChoice::Kind::kAuto) {
    auto opened = open_cuda_devices({device::CudaDeviceSpec{}}, choice.completion, max_body, opened_->gpus);
    if (opened.ok()) return opened;
    log(LogLevel::kInfo, "computing on the host's cores, as no GPU can be used",
        {{"reason", opened.error().message()}});
  }
  TESSERA_ASSIGN_OR_RETURN(auto opened, open_host(host, max_body));
  return alone(std::move(opened));
}

Result<std::vector<Computing>> open_devices(const DeviceChoice& choice, const device::HostTopology& host,
                                            Bytes max_body) {
  auto opened = DeviceOpener()(choice, host, max_body);
  return opened.ok() ? std::move(opened) : opened.error().in("--device");
}

Result<Computing> open_device(const DeviceChoice& choice, const device::HostTopology& host, Bytes max_body) {
  if (choice.cuda.size() > 1 || choice.host.size() > 1) return invalid_argument("--device: one device is enough here");
  TESSERA_ASSIGN_OR_RETURN(auto opened, open_devices(choice, host, max_body));
  return std::move(opened.front());
}

Status can_be_added(const DeviceChoice& choice, const std::vector<std::string>& names) {
  if (choice.kind == DeviceChoice::Kind::kAuto || choice.cuda.size() + choice.host.size() > 1) {
    return invalid_argument("one device can be added at a time, by its name: host/1, cuda:1");
  }
  for (const std::string& name : names) {
    TESSERA_ASSIGN_OR_RETURN(const DeviceChoice there, parse_device(name));
    if (there.kind != choice.kind) {
      return invalid_argument("'" + name + "' is there already: all devices of a server are of one kind");
    }
    const bool shared = choice.kind == DeviceChoice::Kind::kCuda ? choice.cuda.front().gpu == there.cuda.front().gpu
                                                                 : choice.host.empty() || there.host.empty() ||
                                                                       choice.host.front().overlaps(there.host.front());
    if (shared) {
      return Error(ErrorCode::kAlreadyExists,
                   "what it would compute on belongs to '" + name + "', which is there already");
    }
  }
  return ok_status();
}

}  // namespace tessera::apps
