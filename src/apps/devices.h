// --device: what models run on, and how it is opened.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/slice.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/device_spec.h"
#include "device/device.h"
#include "device/host/topology.h"
#include "engine/engine.h"
#include "sched/scheduler.h"

namespace tessera::apps {

// How a GPU's polling thread waits for the ends of launches.
enum class CompletionMode {
  kAuto,      // kLowPower where the host has few cores, else kSpin
  kSpin,      // it looks all the time, on a core of its own: an end is seen within microseconds
  kLowPower,  // it sleeps between two looks: an end is seen some 50 us later, and no core is busy with it
};

// What the flags ask for. Immutable value.
struct DeviceChoice {
  enum class Kind {
    kAuto,  // the first GPU where it can be used, else the host
    kHost,
    kCuda,
  };
  Kind kind = Kind::kAuto;
  std::vector<device::CudaDeviceSpec> cuda{};  // of kCuda; at least one
  std::vector<Slice> host{};                   // of kHost: each a device of these processors' places; none: one of all
  CompletionMode completion = CompletionMode::kAuto;  // of GPUs; one that is added later has that of the first
};

// "auto", "host", "host/0-3,host/4-7" (places among the processors to compute on), "cuda:0", "cuda:0/0-7,cuda:0/8-15".
// Error: kInvalidArgument.
Result<DeviceChoice> parse_device(std::string_view text);

// A device and the engine whose plans run on it. `engine` goes first.
struct Computing {
  std::string kind;                                            // "host" or "cuda", as model::ConfigDefaults knows it
  std::string description;                                     // "cuda:0, NVIDIA H100 80GB HBM3, 132 processors"
  std::size_t max_homes = sched::SchedulerLimits{}.max_homes;  // what its memory is good for
  std::unique_ptr<device::Device> device;
  std::unique_ptr<engine::Engine> engine;
};

// A card as `tessera serve` has it: `parts` devices of it divide its streams and outstanding copies. `cores`: that this
// process may use.
device::CudaOptions cuda_options(const device::CudaDeviceSpec& spec, std::size_t parts, Bytes max_body,
                                 CompletionMode completion, std::uint16_t cores);
// The same on this host.
Result<device::CudaOptions> cuda_options(const device::CudaDeviceSpec& spec, std::size_t parts, Bytes max_body,
                                         CompletionMode completion = CompletionMode::kAuto);

// How many plans may be homed one by one on each of the parts of a card: all together as many as take a sixteenth of
// the card's memory, and a fourth of the host's divided by the cards that this process sees, but not fewer than 128
// each, nor more than 8,192.
std::size_t homes_in(Bytes card_memory, Bytes host_memory, int cards, std::size_t parts);

// Opens devices, and more of them later: those of GPUs share what one process has once, or once a gpu. One call at a
// time; copies are the same opener.
class DeviceOpener {
 public:
  // How CUDA's driver is reached; another one in tests.
  using OpenDriver = std::function<Result<device::Driver>()>;
  explicit DeviceOpener(OpenDriver driver = &device::Driver::open);

  // In the order named. `host`: the processors to compute on, where the host computes. `max_body`: of one request.
  // The first call is to be made before other threads read the environment. Where auto finds no GPU that can be used,
  // the log says why. What is named may not share processors with what is open (can_be_added()). Error: one line that
  // says what to do.
  Result<std::vector<Computing>> operator()(const DeviceChoice& choice, const device::HostTopology& host,
                                            Bytes max_body) const;

 private:
  struct Opened;
  std::shared_ptr<Opened> opened_;
};

// The same, where nothing follows.
Result<std::vector<Computing>> open_devices(const DeviceChoice& choice, const device::HostTopology& host,
                                            Bytes max_body);
// The same where one is wanted. Error: several are named.
Result<Computing> open_device(const DeviceChoice& choice, const device::HostTopology& host, Bytes max_body);

// Whether `choice` is one more device for a server whose devices have these names (DeviceShape::name). Error: it is not
// one device, is of another kind, or has processors in common with one of them; a card is in use by a part of it, and
// all of its streams are given out.
Status can_be_added(const DeviceChoice& choice, const std::vector<std::string>& names);

}  // namespace tessera::apps
