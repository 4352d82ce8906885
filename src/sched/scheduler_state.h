// The state behind Scheduler, private to scheduler*.cc: one file for what arrives and waits, one for what runs, one for
// the order in which things are done.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sched/scheduler.h"
#include "sched/view.h"
#include "sched/waiting.h"

namespace tessera::sched {

// The requests, launches, lanes and the loader's wish between two events. Owned by the thread that feeds events.
class Scheduler::State {
 public:
  State(DeviceShape shape, std::unique_ptr<Policy> policy, SchedulerLimits limits);

  void on_event(const Event& event, TimePoint now, Actions& out);

  std::size_t waiting() const { return requests_.size(); }
  std::size_t in_flight() const { return launches_.size(); }
  std::uint16_t atoms_lost() const { return view_.device.atoms_lost(); }
  TimePoint deadline(RequestId id) const;
  const Profile* profile(InstanceId id) const;
  Duration fastest_measured(InstanceId id) const;
  double beside_others(InstanceId id) const;
  DeviceLoad load(TimePoint now) const;
  ModelLoad load(InstanceId id) const;
  double rows_per_second(InstanceId id, TimePoint now) const;

 private:
  struct Launched {
    Instance* instance = nullptr;
    ShapeId shape;
    std::size_t bucket = 0;
    std::size_t lane = 0;
    std::size_t slice = 0;
    TimePoint at{};
    bool at_once = false;    // its slice was idle
    double busy_beside = 0;  // the share of the atoms that others kept busy then
    std::size_t requests = 0;
    TimePoint deadline = kNever;  // the earliest
    bool stuck = false;           // it does not end
    bool lost = false;            // so it is, or behind one that does not; its atoms are
  };
  // A load that has waited so long is granted as soon as what runs in its slice has ended.
  static constexpr Duration kLoaderPatience = std::chrono::seconds(1);
  // A home that was used or made a moment ago is not dropped for another one, which would only be dropped in turn.
  static constexpr Duration kHomeKept = std::chrono::seconds(1);
  // After one that failed, though not for good.
  static constexpr Duration kHomePause = std::chrono::milliseconds(100);
  // Between homes that nobody wants yet, while something runs: making one holds launches up for a moment.
  static constexpr Duration kInAdvancePause = std::chrono::milliseconds(20);
  // Of the homes that there may be. The others are for what turns out to be wanted.
  static constexpr double kInAdvance = 0.5;
  // Of requests that no measured run is short enough for, one in so long is let in all the same: what was measured may
  // have been wrong, or hold no longer.
  static constexpr Duration kTryAgain = std::chrono::seconds(10);
  enum class Loader { kAway, kWaiting, kClosing, kLent };

  // scheduler_waiting.cc
  void handle(const Arrival& event);
  void handle(const InputReady& event);
  void handle(const Cancelled& event);
  void handle(const ParamsChanged& event);
  bool is_hopeless_at_once(Instance& instance) const;
  void admit(const Arrival& event, Instance& instance, const QueuePolicy& policy, std::uint32_t level);
  void set_times(Request& request, const QueuePolicy& policy) const;
  void set_times_anew(Request& request);
  void enqueue(Request& request);
  void dequeue(Request& request);
  void forget(Request& request);
  double& waiting_work(const Request& request);
  void reject(Request& request, RejectReason reason);
  std::vector<Request*> waiting_of(const Instance* instance);
  void reject_all(const Instance* instance, RejectReason reason);
  void end_waits();
  Duration retry_after(const Request& request) const;

  // scheduler_running.cc
  void handle(const LaunchEnded& event);
  void handle(const LoaderWants& event);
  void handle(const LoaderDone&);
  void handle(const LaneWanted& event);
  void handle(const LaneDone& event);
  void launch(const BatchDecision& decision);
  void learn(const Launched& launched, const LaunchEnded& event);
  void look_for_stuck();
  void condemn(LaunchId id);
  void forget_loader();
  void lose(LaunchId id);
  void note_lost() { all_lost_ = atoms_lost() == view_.device.shape().atoms(); }
  void lend();
  void grant_lane(Instance& instance, std::size_t lane);

  // scheduler_homes.cc
  void handle(const SliceReady& event);
  void handle(const HomeFailed& event);
  void handle(const BucketsEnd& event);
  void handle(const Measured& event);
  void note_bucket(Instance& instance);
  void read_profile(Instance& instance);
  void want_home(const WantedHome& wanted);
  void want_one_lane(Instance& instance, std::size_t slice, std::size_t bucket);
  void home_in_advance();
  bool ask_in_advance(std::size_t lane);
  static std::uint32_t worth_homing(const Instance& instance, std::size_t group);
  void ask_home(Instance& instance, const HomePlace& place);
  bool drop_one_home();

  // scheduler.cc
  void handle(const TimerFired&);
  void handle(const ModelUp& event);
  void handle(const ModelDown& event);
  void handle(const DeviceDown&);
  void handle(const PolicyChanged& event);
  void note_instances();
  void decide();
  void let_go_of_drained();
  void set_timer();
  Instance* find(InstanceId id) const;
  std::size_t place_of(InstanceId id) const;  // in instances_, or where it would be

  // Of the nodes of queues and maps below, which it therefore outlives; so that a steady load allocates nothing.
  std::pmr::unsynchronized_pool_resource memory_;
  View view_;
  std::unique_ptr<Policy> policy_;
  SchedulerLimits limits_;
  Decisions decisions_;

  std::pmr::unordered_map<RequestId, Request> requests_{&memory_};
  Moments moments_;
  // Predicted work of requests_, by whether their model has an objective.
  double objectives_processor_ns_ = 0;
  double others_processor_ns_ = 0;
  std::vector<std::pair<InstanceId, Instance*>> instances_;  // ascending: looked through with every event
  std::pmr::unordered_map<LaunchId, Launched> launches_{&memory_};
  std::uint64_t next_launch_ = 1;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_serial_ = 1;

  OverdueWatch overdue_;
  TimePoint overdue_at_ = kNever;  // look again then
  bool all_lost_ = false;          // every atom, by launches that do not end

  Loader loader_ = Loader::kAway;
  LoaderWants loader_wants_;
  TimePoint loader_since_{};

  // Of instances with lazy homes.
  std::size_t homes_held_ = 0;
  std::size_t homes_asked_ = 0;
  TimePoint no_home_before_ = TimePoint::min();  // nothing could be dropped, or one failed
  bool all_in_advance_ = true;                   // nothing is left that could be homed before it is wanted
  TimePoint in_advance_at_ = TimePoint::min();   // the next one, where something runs
  std::vector<char> idle_lanes_;                 // of one instance, while homes are looked through

  bool down_ = false;
  std::size_t draining_ = 0;
  TimePoint wake_up_ = kNever;
  TimePoint timer_ = kNever;  // as last set

  // Of the event at hand.
  TimePoint now_{};
  Actions* out_ = nullptr;
};

}  // namespace tessera::sched
