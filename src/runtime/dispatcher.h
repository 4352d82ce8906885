// The dispatcher of one device: a role, held by one thread at a time.
//
// Any thread that has something to tell posts a message and then tries to take the role. Who gets it feeds the
// scheduler with everything posted, carries out its actions, and lets go of the role. Only then does it run a launch
// that the device left to it, and hand answers to their callers: nobody waits for a holder that computes or writes.
// A thread that finds the role held goes on; the holder takes care of its message.
//
// Who owns what:
//   a request's Ticket     its poster until posted, the holder until the answer is known, then the thread that answers
//   a batch's LaunchRecord the holder, while it runs the device, then the thread that answers
//   a CopyRecord           the holder; it keeps the memory of requests whose bytes are on their way
//   scheduler, timer, copy desk, instances by id, counters   the holder
// No lock is taken on a request's way. Memory for it comes from pools that keep their size.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "device/device.h"
#include "runtime/copy_desk.h"
#include "runtime/inbox.h"
#include "runtime/load_cell.h"
#include "runtime/recorder.h"
#include "runtime/served_instance.h"
#include "runtime/slot_pool.h"
#include "runtime/statistics.h"
#include "runtime/ticket.h"
#include "runtime/timer.h"
#include "sched/scheduler.h"

namespace tessera::runtime {

// Something rare to be told to the scheduler: the life of models, and the loader.
struct ControlMessage {
  Message message{Message::Kind::kControl, this};
  sched::Event event;
  std::shared_ptr<ServedInstance> served;                             // of ModelUp, ModelDown and ParamsChanged
  std::binary_semaphore* applied = nullptr;                           // released when it has been done; outlives that
  std::function<void(const sched::Scheduler&, TimePoint at)> look{};  // instead of the event; must be short
};

// Who homes plans, for instances whose homes are made one by one. Called by the holder of the role; must be short.
struct HomeMaker {
  std::function<bool(const sched::PrepareHome&)> prepare{};  // false: it will not be made
  std::function<void(const sched::DropHome&)> drop{};        // its plan is found by nobody any more
};

// What a dispatcher has to do with others'. Without a load to publish it is the only one.
struct Neighbours {
  DeviceLoadCell* load = nullptr;  // of this device, for the router; outlives the dispatcher
  // The device is lost, and the call was not running: false, untouched, where nobody else can have it. Called outside
  // of the role. Empty: there is nobody else.
  std::function<bool(std::shared_ptr<InferCall>& call, TimePoint arrived)> take_over{};
  // An instance went before the request could run, and the call was not running: false, untouched, where no other one
  // serves its model here. Called outside of the role. Empty: there is none.
  std::function<bool(std::shared_ptr<InferCall>& call, TimePoint arrived)> replaced{};
  // The device is lost: called once, by who reports it, before its waiting requests are seen to; must be short.
  std::function<void()> on_down{};
  // A batch of the instance does not end, or has ended after all: `stuck` there has changed. Called outside of the
  // role.
  std::function<void(const ServedInstance& served)> on_stuck{};
};

// Of an instance that is served. Value.
struct Learned {
  sched::Profile profile;
  double beside_others = 0;    // as of sched::Scheduler
  double rows_per_second = 0;  // that arrive lately
};

// Thread-safe, except where a member says otherwise.
class Dispatcher final : public device::CompletionSink {
 public:
  struct Limits {
    std::size_t max_waiting = 65536;  // tickets beyond those running: further requests are refused
    std::size_t max_running = 4096;   // launches not yet answered, and requests in them
    std::size_t max_homes = sched::SchedulerLimits{}.max_homes;  // of all instances whose homes are made one by one
    std::optional<sched::OverdueRule> overdue{};                 // nothing: as the device's shape has it
  };
  // A thread that posts a request from a core runs launches for that very core itself, up to this much predicted time:
  // handing them to the worker, which needs the same core, would cost two thread switches and gain nothing. An answer
  // that posts the next request from within begins anew.
  static constexpr Duration kRunHereBelow = std::chrono::microseconds(100);
  // How often a poster looks whether the role has become free before it leaves its request to the holder: some
  // microseconds, about what a holder takes.
  static constexpr int kRoleLooks = 256;
  // A thread that came to post does not serve others for longer than this many rounds; the timer's thread goes on.
  static constexpr int kMaxRounds = 32;

  Dispatcher(device::Device& device, std::unique_ptr<sched::Policy> policy, Limits limits, HomeMaker homes = {},
             Neighbours neighbours = {}, Recording recording = {});
  // After stop() and after the device is gone.
  ~Dispatcher() override;

  // ---- Requests ----

  // nullptr: all are taken, which is the answer kResourceExhausted.
  Ticket* take_ticket();
  // Gives a ticket back that was not posted.
  void give_back(Ticket& ticket);
  // Queues the ticket's request, which admission has accepted; its call is answered exactly once. `served`, the
  // ticket's instance, is kept alive by the caller and is told that the request is through admission.
  void post(Ticket& ticket, ServedInstance& served);
  // A waiting request is answered with kCancelled; a launched or answered one is left alone.
  void cancel(RequestId request);

  // ---- The life of models: called by the loader thread ----

  void model_up(const std::shared_ptr<ServedInstance>& served, sched::Profile profile);
  // Its plans are in the instance's table. Any thread.
  void slice_ready(const sched::SliceReady& ready);
  void home_failed(const sched::HomeFailed& failed);
  // `served.drained` is released when nothing of it waits or runs any more.
  void model_down(std::shared_ptr<ServedInstance> served);
  // Waits until `slice` is granted. Error: the device went down, or a batch on it does not end; nothing is borrowed.
  Status borrow(const Slice& slice, Duration expected);
  void give_back_slice();
  // Waits until nothing runs in the lane. Error: likewise.
  Status borrow_lane(InstanceId instance, LaneIndex lane);
  void give_back_lane(InstanceId instance, LaneIndex lane);
  void measured(const sched::Measured& measured);
  // `served` has been told the cause.
  void buckets_end(InstanceId instance);

  // ---- What an operator changes: any thread, though not from within a call's done(); returns when it holds ----

  // For an instance that has gone it holds for what is still counted of it.
  void change_params(const std::shared_ptr<ServedInstance>& served, const sched::LiveParams& params);
  void change_policy(const std::string& policy);  // one that sched::make_policy() takes

  // What the scheduler has learned of an instance, which may have gone; likewise.
  Learned learned(InstanceId instance);

  // ---- The device's reports ----

  void completed(const device::Completion& completion) override;
  void copied(const device::CopyEnd& end) override;
  void device_down(const Error& reason) override;

  bool is_down() const { return down_.load(std::memory_order_acquire); }
  DeviceStatistics statistics() const;
  void count_copied(Bytes bytes) { copied_.fetch_add(bytes.value, std::memory_order_relaxed); }

  // Answers all that wait and everything that comes, and reports nothing to the scheduler any more. When it has
  // returned, no holder of the role calls the device any more. Called once, before the device is destroyed.
  void stop();

 private:
  // What one thread does between posting and returning; lies on its stack.
  struct Turn {
    const Dispatcher* owner;
    bool patient = false;                 // the timer's thread: may serve others as long as it takes, and runs nothing
    std::optional<std::uint16_t> atom{};  // of a thread that posted a request: where it is
    Duration run_budget{0};               // what it may still run here, as predicted
    LaunchRecord* to_run = nullptr;
    Chain<Ticket> refused{};
    Chain<LaunchRecord> ended{};
    std::vector<std::shared_ptr<ServedInstance>> stuck{};  // or not any more
  };

  void post_and_take_part(Message& message);
  bool look_for_role();
  void work(Turn turn, bool holds_role);
  bool take_part(Turn& turn, bool holds_role);
  bool drain(Turn& turn);
  void send(sched::Event event, std::shared_ptr<ServedInstance> served, std::binary_semaphore* applied = nullptr);

  // By the holder alone.
  void handle(Message& message, Turn& turn);
  void handle_arrival(Ticket& ticket, TimePoint at, Turn& turn);
  void handle_cancel(Ticket& ticket, TimePoint at, Turn& turn);
  void handle_ended(LaunchRecord& record, TimePoint at, Turn& turn);
  void handle_copy_ended(CopyRecord& record, TimePoint at, Turn& turn);
  void handle_control(ControlMessage& control, TimePoint at, Turn& turn);
  void handle_down(TimePoint at, Turn& turn);
  void feed(const sched::Event& event, TimePoint at, Turn& turn);
  void perform(const sched::StartLaunch& action, TimePoint at, Turn& turn);
  void perform(const sched::Reject& action, TimePoint at, Turn& turn);
  void perform(const sched::SetTimer& action, TimePoint at, Turn& turn);
  void perform(const sched::PrepareHome& action, TimePoint at, Turn& turn);
  void perform(const sched::DropHome& action, TimePoint at, Turn& turn);
  void perform(const sched::GrantLoader& action, TimePoint at, Turn& turn);
  void perform(const sched::GrantLane& action, TimePoint at, Turn& turn);
  void perform(const sched::InstanceDrained& action, TimePoint at, Turn& turn);
  void perform(const sched::LaunchStuck& action, TimePoint at, Turn& turn);
  void perform(const sched::StuckEnded& action, TimePoint at, Turn& turn);
  LaunchRecord* find_launch(LaunchId scheduled);
  void answer_early(LaunchRecord& record, Refusal why, const std::shared_ptr<const Error>& error, Turn& turn);
  void count_atoms_lost();
  LaunchRecord* make_record(const sched::StartLaunch& action, TimePoint at);
  void launch(LaunchRecord& record, const sched::StartLaunch& action, Turn& turn);
  void fail_launch(LaunchRecord& record, Error error);
  void issue_copies(TimePoint at, Turn& turn);
  bool is_chosen_by_load() const {
    return neighbours_.load != nullptr && neighbours_.load->is_read.load(std::memory_order_relaxed);
  }
  void publish_load();
  void publish_load(ServedInstance& served);
  void note_fastest(ServedInstance& served) const;
  void refuse(Ticket& ticket, Refusal why, Turn& turn);
  void refuse_all_waiting(Refusal why, Turn& turn);
  void end_loader_wait(bool granted);
  void end_lane_wait(bool granted);
  void count(LaunchRecord& record);
  Ticket* waiting_ticket(RequestId request);

  // After the role: answers.
  void deliver(Turn& turn);
  void answer(LaunchRecord& record);
  void answer(Ticket& ticket);
  void finish(Ticket& ticket, Result<InferResponse> result);
  // The request had waited for its model; `first`: the one that the others waited behind.
  void answered_after_return(bool first, TimePoint arrived, ServedInstance& served) const;
  bool may_be_taken_over(const LaunchRecord& record) const;
  using TakeOver = std::function<bool(std::shared_ptr<InferCall>& call, TimePoint arrived)>;
  // Who else may answer a request that was refused so; nullptr: nobody.
  const TakeOver* taker(Refusal why) const;
  struct Counted {
    Failure failure;
    bool missed_slo;  // whether it counts as a missed objective
  };
  static Counted counted_as(Refusal why);
  void hand_over(Ticket& ticket, const TakeOver& to);
  Error error_of(const Ticket& ticket) const;
  Error lost_error() const;
  void recycle(Ticket& ticket);

  device::Device& device_;
  const DeviceShape& shape_;
  const HomeMaker homes_;
  const Neighbours neighbours_;
  const Recording recording_;
  SlotPool<Ticket> tickets_;
  SlotPool<LaunchRecord> launches_;

  Inbox inbox_;
  std::atomic<bool> held_{false};

  // Owned by the holder of the role.
  sched::Scheduler scheduler_;
  sched::Actions actions_;
  CopyDesk copy_desk_;
  std::vector<sched::InputReady> inputs_ready_;
  std::unordered_map<std::uint32_t, std::shared_ptr<ServedInstance>> instances_;
  TimePoint timer_at_ = kNever;
  std::uint32_t stuck_now_ = 0;           // launches that do not end
  std::uint16_t atoms_lost_ = 0;          // by them and those behind
  std::shared_ptr<const Error> held_up_;  // what the first of them holds up is told
  bool loader_waits_ = false;
  bool lane_waits_ = false;
  bool stopped_ = false;
  std::vector<Cell> busy_ns_;
  Cell launch_count_;
  Cell role_ns_;     // in which the role was held
  Cell stuck_cell_;  // stuck_now_, for who reads statistics

  std::atomic<bool> down_{false};
  std::optional<Error> down_reason_;  // written before down_
  std::atomic<std::uint64_t> copied_{0};
  bool loader_granted_ = false;  // ordered by loader_signal_
  std::binary_semaphore loader_signal_{0};
  bool lane_granted_ = false;  // ordered by lane_signal_
  std::binary_semaphore lane_signal_{0};
  Message timer_message_{Message::Kind::kTimer};
  std::atomic<bool> timer_posted_{false};
  Message down_message_{Message::Kind::kDeviceDown};
  Message stop_message_{Message::Kind::kStop};
  std::binary_semaphore stop_signal_{0};
  Timer timer_;  // last: its thread uses all of the above
};

}  // namespace tessera::runtime
