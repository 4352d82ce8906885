// What a scheduling policy sees and answers. A policy is one file under policy/ and one line in policy/registry.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/slice.h"
#include "sched/model_params.h"
#include "sched/profile.h"

namespace tessera::sched {

class View;  // view.h: the device and its queues as the scheduler keeps them, maintained incrementally

// One batch to start now: the first `requests` of the instance's queue for that shape, in its order.
struct BatchDecision {
  InstanceId instance;
  ShapeId shape;
  std::int32_t requests = 0;
  std::int32_t bucket = 0;
  LaneIndex lane;
  Slice slice;
};

// A policy would use such a plan if it were homed in that slice: in one more lane than has it, one that is free if
// possible. Without a bucket: all of them, in all lanes.
struct WantedHome {
  InstanceId instance;
  Slice slice;
  std::optional<std::size_t> bucket = std::nullopt;  // its place
};

struct Decisions {
  std::vector<BatchDecision> launches;
  std::vector<RequestId> hopeless;  // waiting requests to be rejected: they cannot meet their deadline any more
  std::vector<WantedHome> wanted_homes;
  TimePoint wake_up = kNever;  // when to decide again if nothing happens before; later than now

  void clear() {
    launches.clear();
    hopeless.clear();
    wanted_homes.clear();
    wake_up = kNever;
  }
};

// Owned by the scheduler. Pure: decides from the view and its own state.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual std::string_view name() const = 0;
  // Whether it heeds a model's weight, reserved_share, reserved_lend and max_share.
  virtual bool heeds_shares() const { return false; }
  // Whether its launches wait for the last one of their lane alone, however many run on an atom.
  virtual bool waits_for_lanes_alone() const { return false; }
  // Whether its batches may go to any slice, so that homes are worth having before one is wanted there.
  virtual bool uses_all_slices() const { return false; }
  // The models that its options name, loaded or not.
  virtual std::vector<std::string> named_models() const { return {}; }
  // Called after every event that may change what can be done, and again after launches or rejections it asked for,
  // until it asks for none: one launch at a time is enough. `out` comes empty.
  virtual void decide(const View& view, TimePoint now, Decisions& out) = 0;
  // Whether the loader may have an idle slice for so long (Duration zero: not known). After a wait of one second it
  // gets it without being asked about.
  virtual bool may_lend(const View& view, TimePoint now, const Slice& slice, Duration expected);
};

// A policy that there is. Immutable.
struct KnownPolicy {
  std::string_view name;
  std::string_view options;  // an example of what may stand after its name; empty: it has none
  std::string_view help;     // one line
};
std::span<const KnownPolicy> known_policies();  // the usual one first

// Error: unknown name; the message lists the known ones. `options` are "key=value" pairs after the name
// ("temporal:triton=1"; "fixed:share.MODEL=0.5").
Result<std::unique_ptr<Policy>> make_policy(std::string_view name_and_options);

}  // namespace tessera::sched
