// The seam between scheduling and processors: a device runs plans on slices and says when they ended.
//
// What any device must do is stated once, as the contract suite in tests/contract, and holds for host, fake and cuda:
//  * atoms are disjoint, and a launch runs only on the atoms of its slice;
//  * a launch starts after every earlier launch whose slice overlaps its own has ended (After::kOverlap), or after the
//    last one of its lane (After::kLane); on one slice launches therefore end in the order given;
//  * exactly one Completion follows each accepted launch, none a refused one;
//  * a plan's failure is that launch's error and nobody else's; a fault of the processor itself ends everything in
//    flight with one error each, then device_down is raised, and every later launch is refused;
//  * copies end in the order given, exactly one CopyEnd each; a launch starts after the copy that it names and those
//    before it have ended, and its completion is reported after their ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/batch.h"
#include "core/slice.h"
#include "device/staging.h"

namespace tessera::device {

inline constexpr std::size_t kMaxDevices = 32;  // of a process

// Something that a device of the same kind can run in one slice, made by an engine (or by a test as a probe). Each kind
// of device declares its own subclass (host/host_plan.h, ...). Immutable while launches of it are in flight.
class Plan {
 public:
  virtual ~Plan() = default;
};

enum class After { kOverlap, kLane };

struct Launch {
  LaunchId id{};
  InstanceId instance{};  // with `lane`: what After::kLane waits for
  LaneIndex lane{};
  Slice slice{};  // on the ladder
  After after = After::kOverlap;
  const Plan* plan = nullptr;  // alive until the completion
  Batch* batch = nullptr;      // likewise
  CopyId after_copy{};         // the last one of its inputs; 0: none
  // Where it would save a thread hop, the caller offers to run the launch itself: see Started::kRunHere.
  bool may_run_here = false;
};

enum class Started {
  kQueued,   // the device runs it; the completion comes through the sink
  kRunHere,  // the caller must call run_here(id) soon, on this thread, without holding what others wait for
};

struct Completion {
  LaunchId id{};
  Status status{};   // kCancelled: dropped before it was committed, or ran with its result discarded
  bool ran = false;  // whether the slice spent time on it (started, ended are set)
  TimePoint started{};
  TimePoint ended{};  // when the slice was free again; outputs may have left it later
  Duration blur{0};   // by how much either may be too late, where whoever looked was held up
};

// Bytes that are to lie in the device's own memory before a launch reads them there (BatchInput::copied).
struct Copy {
  CopyId id{};                       // rising
  std::span<const std::byte> bytes;  // can_copy() agreed to them; they stay as they are until the end is reported
};

struct CopyEnd {
  CopyId id{};
  Status status{};  // error: the device is lost
  TimePoint ended{};
};

// Where a device reports. Thread-safe: called from the device's own threads, and inside run_here, cancel, retire and
// the destructor, by whoever calls those. It never calls the device back; a thread that takes the dispatcher role
// inside completed() may, as the holder, unless it is the holder already.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  virtual void completed(const Completion& completion) = 0;
  virtual void copied(const CopyEnd& end) { static_cast<void>(end); }  // by devices that are asked for copies
  virtual void device_down(const Error& reason) = 0;                   // once, after the ends of all that was in flight
};

// Unless a method says otherwise it is called by the holder of the device's dispatcher role alone (a single thread at a
// time).
class Device {
 public:
  // Ends what is in flight (each with its completion) and joins its threads; a launch that was to run here and did not
  // is dropped. Meanwhile only the device's own threads may call it, from within the sink.
  virtual ~Device() = default;

  virtual const DeviceShape& shape() const = 0;  // thread-safe

  // What computes here, and what drives it: "NVIDIA H200, driver 13.0 580.95.05". With the shape it is what measured
  // times hold for; empty where they hold for nothing else. Thread-safe.
  virtual std::string hardware() const { return {}; }

  // Where request bodies for this device are read into. Thread-safe, lives as long as the device.
  virtual StagingPool& staging() = 0;

  // The atom that the calling thread is on at this moment, where it could run a launch itself (run_here confines it to
  // the slice for the run); nothing for threads elsewhere and for devices that no thread of ours runs on. Thread-safe,
  // and cheap enough to be asked for every request.
  virtual std::optional<std::uint16_t> atom_here() const { return std::nullopt; }

  // Whether it can copy these bytes into memory of its own, which its pool leased. Thread-safe.
  virtual bool can_copy(std::span<const std::byte> bytes) const {
    static_cast<void>(bytes);
    return false;
  }

  // Called once, before the first launch.
  virtual void set_sink(CompletionSink& sink) = 0;

  // Begins a copy; at most shape().copies are outstanding. Error: refused; nothing else follows. kDeviceLost once the
  // device is down.
  virtual Status copy(const Copy& copy) {
    static_cast<void>(copy);
    return Error(ErrorCode::kUnsupported, "device " + shape().name + " copies nothing ahead of launches");
  }

  // Error: refused; nothing else follows. kDeviceLost once the device is down.
  virtual Result<Started> launch(const Launch& launch) = 0;

  // Runs, on the calling thread, a launch for which launch() said kRunHere. Any thread, once.
  virtual void run_here(LaunchId id) = 0;

  // Asks to forget a launch: one that is not committed is dropped (completion kCancelled, ran = false); a committed one
  // runs and its completion is kCancelled with ran = true. Unknown or ended ids are ignored.
  virtual void cancel(LaunchId id) = 0;

  // The holder took this completion off the sink: the device may start what waited for it. To be called before the
  // scheduler hears of the completion. Devices that order launches in hardware do nothing.
  virtual void retire(LaunchId id) = 0;

  // ---- The loader's side: called by the one loader thread, any time the scheduler has granted it the slice. ----

  // Makes the calling thread the loader, for good: what it computes happens in the loader slice. A device whose work is
  // queued rather than computed by a thread says where to queue it.
  virtual Status become_loader_thread() = 0;
  // Runs a plan in a borrowed slice and returns when it has ended; measures and warms. Told is the time from when its
  // inputs are there, where the device copies them and sees their arrival; elsewhere from the launch.
  virtual Result<Duration> run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) = 0;
};

}  // namespace tessera::device
