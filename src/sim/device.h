// A device that is not there: it carries out what its scheduler decides, on virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/slice.h"
#include "loadgen/random.h"
#include "sched/scheduler.h"
#include "sim/crowd.h"
#include "sim/loop.h"
#include "sim/sliced_runs.h"

namespace tessera::sim {

// What others cost a run.
struct Beside {
  double neighbour = 0;   // atoms that are busy beside its slice (slowed_by)
  double contention = 0;  // each other launch where nobody keeps them apart, times the part of the device that it fills
};

// What a device adds to the latencies of its models. Immutable.
struct DeviceTraits {
  Duration host_overhead{0};  // from the end of a run until the scheduler hears of it
  double noise = 0;           // deviation of the logarithm of a run's time
  Duration jitter{0};         // deviation of a run's time in a part of the device, however long it is
  Beside beside;
  double contention_noise = 0;  // in place of `noise`, of launches that nobody keeps apart
  bool home_everything = true;  // each model in every slice at once; otherwise as the scheduler asks
  Duration homing_time = std::chrono::milliseconds(1);
};

// Who wants to know what a device does. Called in the order in which things happen.
class Observer {
 public:
  virtual ~Observer() = default;
  // What the scheduler answered to what it was told, before any of it is carried out.
  virtual void decided(const sched::Event& /*event*/, TimePoint /*at*/, const sched::Actions& /*actions*/) {}
  virtual void acts(const sched::Action& action) = 0;  // before it is carried out
  // The scheduler is about to hear of it.
  virtual void ended(const sched::StartLaunch& launch) = 0;
  // Before that: when it occupied its slice.
  virtual void ran(const sched::StartLaunch& /*launch*/, TimePoint /*begin*/, TimePoint /*end*/) {}
  // A home that was asked for is due. Nothing: here it is; otherwise it failed, true: for good.
  virtual std::optional<bool> home_fails(const sched::PrepareHome&) { return std::nullopt; }
};

// A scheduler, and atoms that run what it launches. A run's time is that of its model on so many processors, times
// noise, and what its neighbours cost it meanwhile. Owned by the thread of its loop, which it must not outlive.
class Device final : private Loop::Target {
 public:
  // Of a run alone: rows of the bucket, processors of the slice. May change between calls.
  using RunTime = std::function<Duration(std::int32_t bucket, std::int32_t processors)>;

  Device(Loop& loop, DeviceShape shape, std::unique_ptr<sched::Policy> policy, sched::SchedulerLimits limits,
         DeviceTraits traits, std::uint64_t seed, Observer& observer);

  // `buckets_follow`: it comes up without any plan, and who sends events says which there are. `only_slice`: it runs
  // there alone.
  void add_model(InstanceId id, std::shared_ptr<const sched::ModelParams> params, RunTime run_time,
                 sched::Profile profile, bool buckets_follow = false,
                 const std::optional<Slice>& only_slice = std::nullopt);
  // In place of the device's traits, for one of its models.
  void set_beside(InstanceId id, const Beside& beside) { models_.at(id).beside = beside; }
  bool has_model(InstanceId id) const { return models_.count(id) > 0; }
  void send(const sched::Event& event);
  // It is gone: nothing of what it was to do happens, and nobody is told. To be sent nothing any more.
  void lose() { lost_ = true; }

  const DeviceShape& shape() const { return shape_; }
  const sched::Scheduler& scheduler() const { return scheduler_; }
  TimePoint timer() const { return timer_; }                       // the scheduler's, as last set and not yet fired
  std::uint64_t events() const { return events_; }                 // the scheduler's
  double busy_atom_seconds() const { return busy_atom_seconds_; }  // of runs that have ended

 private:
  struct Model {
    RunTime run_time;
    Beside beside;
  };
  struct Running {
    sched::StartLaunch launch;
    TimePoint begin{};
    TimePoint end{};
  };

  void due(std::uint64_t token) override;
  void hear_end(std::size_t slot);
  void hear_home(std::uint64_t number);
  void carry_out(sched::StartLaunch& launch);
  void carry_out(sched::SetTimer& timer);
  void carry_out(sched::PrepareHome& home);
  void carry_out(sched::InstanceDrained& gone);
  template <typename Other>
  void carry_out(Other&) {}
  void join_crowd(std::size_t slot, const Model& model, Duration alone);
  void look_after_crowd();
  void look_after_slices();
  void expect_end_in_slices();
  void ended(std::size_t slot, TimePoint begin);
  Duration noisy(Duration span, double noise, Duration jitter);
  std::size_t take_slot();

  Loop& loop_;
  DeviceShape shape_;
  sched::Scheduler scheduler_;
  DeviceTraits traits_;
  loadgen::Random random_;
  Observer& observer_;
  std::unordered_map<InstanceId, Model> models_;
  std::vector<Running> running_;
  std::vector<std::size_t> free_slots_;
  std::unordered_map<std::uint64_t, sched::PrepareHome> homings_;  // not there yet
  std::uint64_t homing_number_ = 0;
  Crowd crowd_;
  std::uint64_t crowd_number_ = 0;  // of the last moment asked for; earlier ones count no more
  SlicedRuns sliced_;
  TimePoint sliced_due_ = kNever;   // the moment asked for that counts
  std::uint64_t timer_number_ = 0;  // of the last one, as of the crowd's
  TimePoint timer_ = kNever;
  bool lost_ = false;
  std::uint64_t events_ = 0;
  double busy_atom_seconds_ = 0;
  sched::Actions actions_;  // empty between events; keeps its memory
};

}  // namespace tessera::sim
