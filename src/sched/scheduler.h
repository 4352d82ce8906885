// The scheduler of one device: a pure state machine. Same events at the same times, same actions, byte for byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/slice.h"
#include "sched/events.h"
#include "sched/overdue.h"
#include "sched/policy.h"
#include "sched/router.h"

namespace tessera::sched {

struct SchedulerLimits {
  std::size_t max_waiting = 65536;       // requests in all queues; further ones are rejected with kQueueFull
  std::uint16_t committed_per_atom = 0;  // launches committed behind the running one (run-ahead)
  // How long before its predicted end at the earliest: about what a launch takes to begin (on an H200 8 us, p99 20 to
  // 60), and not much more, for who is bound to a slice cannot go where one becomes free first (decision 087).
  Duration run_ahead = std::chrono::microseconds(30);
  // Homed plans of all instances with lazy homes: beyond, the one that was not used for longest goes. Those in the
  // whole device stay, however many they are. On a GPU each takes 0.7 MB.
  std::size_t max_homes = 1024;
  std::size_t max_homes_asked = 64;      // and not there yet; further wishes have to be repeated
  std::optional<OverdueRule> overdue{};  // when a launch is said to be stuck; nothing: never
};

// Owned by the holder of the device's dispatcher role (or by a simulation); never reads a clock.
class Scheduler {
 public:
  Scheduler(DeviceShape shape, std::unique_ptr<Policy> policy, SchedulerLimits limits);
  ~Scheduler();

  // Appends what is to be done, in order. `now` never goes back.
  void on_event(const Event& event, TimePoint now, Actions& out);

  // Requests waiting and launches not ended: what a router and metrics look at.
  std::size_t waiting() const;
  std::size_t in_flight() const;
  // Of the device, by launches that do not end.
  std::uint16_t atoms_lost() const;
  // What a router wants to know: of the device, and of one of its models (zeros for an unknown one).
  DeviceLoad load(TimePoint now) const;
  ModelLoad load(InstanceId instance) const;
  // Of an instance, lately; 0 for an unknown one.
  double rows_per_second(InstanceId instance, TimePoint now) const;
  // Of a request that waits; kNever for an unknown one.
  TimePoint deadline(RequestId request) const;
  // The corrected profile of an instance, to be kept on disk; nullptr for an unknown one.
  const Profile* profile(InstanceId instance) const;
  // Of an instance: see LatencyTable::fastest_measured(). Zero for an unknown one.
  Duration fastest_measured(InstanceId instance) const;
  // By which part its runs have been seen to take longer beside atoms that are all busy; 0 for an unknown one.
  double beside_others(InstanceId instance) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::sched
