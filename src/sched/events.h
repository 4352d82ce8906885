// What a scheduler is told and what it answers: plain values, so that a server, a simulation and a replay feed the very
// same object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/slice.h"
#include "sched/model_params.h"
#include "sched/profile.h"

namespace tessera::sched {

// ---- Events ----

// A request was admitted. Its deadline (DESIGN: arrival + min(SLO, timeout, queue policy's timeout)) is derived here.
struct Arrival {
  RequestId request;
  InstanceId instance;
  ShapeId shape;               // only equal shapes share a batch
  std::int32_t rows = 1;       // <= max(1, max_batch_size)
  std::uint32_t priority = 0;  // 0: the model's default
  TimePoint arrival{};
  std::optional<Duration> timeout;           // the request's own
  std::optional<std::uint16_t> poster_atom;  // tie-break for the slice: where the posting thread runs
  bool input_ready = true;                   // false where InputReady will follow (GPUs)
};

struct InputReady {
  RequestId request;
  TimePoint predicted_end{};  // of its last copy
};

// The device is done with a launch.
struct LaunchEnded {
  LaunchId launch;
  bool ok = true;
  bool ran = true;
  TimePoint started{};
  TimePoint ended{};
  Duration blur{0};  // by how much either may be too late
};

struct TimerFired {};

// The caller went away: a waiting request is forgotten (no action follows), a launched one is finished and counted.
struct Cancelled {
  RequestId request;
};

struct ModelUp {
  InstanceId instance;
  std::shared_ptr<const ModelParams> params;
  Profile profile;  // measured or cached points; may be empty
  // Whether its plans are homed where PrepareHome asks for it, and let go of by DropHome. Else neither is asked.
  bool lazy_homes = false;
  // Whether there are plans for all its buckets. Else they come one after the other, smallest first, each with its
  // first SliceReady: requests with more rows than those there are hold wait.
  bool all_buckets = true;
  bool shapes_vary = false;  // its requests may have other shapes than the one that was measured
  // On the ladder: the one slice that it runs in, whatever the policy would choose, since it cannot be put elsewhere.
  std::optional<Slice> only_slice = std::nullopt;
  // The shape that the profile is of. Nothing: that of the first launch.
  std::optional<ShapeId> base_shape = std::nullopt;
};

// The instance goes on under other terms. Waiting requests get their deadlines anew, from their arrivals, as if they
// had come under these: a wider objective saves them, a tighter one has them told in time. What runs goes on. An
// instance that has gone is passed over.
struct ParamsChanged {
  InstanceId instance;
  LiveParams params;
};

// Another policy decides from now on, which knows nothing of what the one before it had planned. What waits and runs
// stays; what was learned of models and queues does, too.
struct PolicyChanged {
  std::string policy;  // one that make_policy() takes
};

// No further bucket comes: requests with more rows are rejected.
struct BucketsEnd {
  InstanceId instance;
};

// A run beside the scheduler's launches, in a slice that the loader had borrowed.
struct Measured {
  InstanceId instance;
  std::int32_t bucket = 0;
  Slice slice;
  Duration took{0};
};

// No new arrivals follow. Waiting requests are still served; the instance is gone once InstanceDrained was answered.
struct ModelDown {
  InstanceId instance;
};

// A slice has a homed plan. Without bucket or lane: for all of them.
struct SliceReady {
  InstanceId instance;
  Slice slice;
  std::optional<std::int32_t> bucket;
  std::optional<LaneIndex> lane;
};

// What PrepareHome asked for will not come: now, or for good, since the plan cannot run in that slice.
struct HomeFailed {
  InstanceId instance;
  std::int32_t bucket = 0;
  LaneIndex lane;
  Slice slice;
  bool for_good = false;
};

// A loader step (one session creation, one measuring run) wants a slice: the loader slice, or for a measuring run any
// other. One step at a time. Answered by GrantLoader when its atoms are free and the policy's guard allows it, after 1
// s as soon as what runs there has ended; the atoms do not exist for anybody else until LoaderDone.
struct LoaderWants {
  Slice slice;
  Duration expected{0};
};
struct LoaderDone {};

struct LaneWanted {
  InstanceId instance;
  LaneIndex lane;
};
struct LaneDone {
  InstanceId instance;
  LaneIndex lane;
};

struct DeviceDown {};

using Event = std::variant<Arrival, InputReady, LaunchEnded, TimerFired, Cancelled, ModelUp, ModelDown, SliceReady,
                           HomeFailed, BucketsEnd, Measured, LoaderWants, LoaderDone, LaneWanted, LaneDone, DeviceDown,
                           ParamsChanged, PolicyChanged>;

// ---- Actions ----

enum class RejectReason {
  kTimeout,      // the request's or the queue policy's time ran out: "Request timeout expired"
  kDeadline,     // its objective cannot be met (slo_policy reject)
  kQueueFull,    // "Exceeds maximum queue size"
  kModelGone,    // the instance is not up, or goes before the bucket came that the request waits for
  kTooManyRows,  // there is no bucket that holds it, and none comes
  kStuck,        // a launch of the instance does not end, or such launches have left no atom
  kDeviceDown,
};

struct StartLaunch {
  LaunchId launch;
  InstanceId instance;
  std::vector<RequestId> requests;  // in batch order
  std::int32_t rows = 0;
  std::int32_t bucket = 0;
  LaneIndex lane;
  Slice slice;
  Duration predicted{0};         // of the run alone; kForever where nothing is known
  bool after_lane_only = false;  // device::After::kLane (Policy::waits_for_lanes_alone)
};

struct Reject {
  RequestId request;
  RejectReason reason = RejectReason::kTimeout;
  Duration retry_after{0};  // when the same request could be served; 0: unknown
};

// The one timer of the scheduler: each SetTimer replaces the one before; kNever stops it.
struct SetTimer {
  TimePoint at = kNever;
};

// Answered by SliceReady or HomeFailed, unless the instance has gone.
struct PrepareHome {
  InstanceId instance;
  std::int32_t bucket = 0;
  LaneIndex lane;
  Slice slice;
};
// Nothing runs in it, and nothing will before it is ready again.
struct DropHome {
  InstanceId instance;
  std::int32_t bucket = 0;
  LaneIndex lane;
  Slice slice;
};

struct GrantLoader {};
struct GrantLane {
  InstanceId instance;
  LaneIndex lane;
};
// Nothing of the instance waits or runs any more.
struct InstanceDrained {
  InstanceId instance;
};

// A launch does not end (overdue.h), so those behind it do not begin. Their atoms do not exist for anybody any more, of
// its instance nothing is launched, and what waits of that is rejected; all that until LaunchEnded comes after all.
// What the loader wished for and has not been granted is forgotten.
struct LaunchStuck {
  LaunchId launch;
  Duration ran{0};  // since it was launched
  std::vector<LaunchId> behind;
};
// It ended after all, and what was said of it holds no more.
struct StuckEnded {
  LaunchId launch;
  InstanceId instance;
};

using Action = std::variant<StartLaunch, Reject, SetTimer, PrepareHome, DropHome, GrantLoader, GrantLane,
                            InstanceDrained, LaunchStuck, StuckEnded>;
using Actions = std::vector<Action>;

}  // namespace tessera::sched
