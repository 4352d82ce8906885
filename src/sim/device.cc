#include "sim/device.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tessera::sim {
namespace {

// What a token is about: its lowest bits. The others are a slot or a running number.
enum Kind : std::uint64_t { kEnd, kTimer, kHomed, kCrowd, kSliced };
constexpr int kKindBits = 3;

std::uint64_t token(Kind kind, std::uint64_t number) { return (number << kKindBits) | kind; }

}  // namespace

Device::Device(Loop& loop, DeviceShape shape, std::unique_ptr<sched::Policy> policy, sched::SchedulerLimits limits,
               DeviceTraits traits, std::uint64_t seed, Observer& observer)
    : loop_(loop),
      shape_(std::move(shape)),
      scheduler_(shape_, std::move(policy), limits),
      traits_(traits),
      random_(seed),
      observer_(observer),
      sliced_(shape_.atoms()) {}

void Device::add_model(InstanceId id, std::shared_ptr<const sched::ModelParams> params, RunTime run_time,
                       sched::Profile profile, bool buckets_follow, const std::optional<Slice>& only_slice) {
  models_[id] = {std::move(run_time), traits_.beside};
  const bool lazy = !only_slice && (buckets_follow || !traits_.home_everything);
  send(sched::ModelUp{id, std::move(params), std::move(profile), lazy, !buckets_follow, false, only_slice});
  if (lazy) {
    return;
  }
  for (const Slice& slice : shape_.ladder) {
    if (!only_slice || slice == *only_slice) {
      send(sched::SliceReady{id, slice, std::nullopt, std::nullopt});
    }
  }
}

void Device::send(const sched::Event& event) {
  // What an observer does about an action may send the next event.
  sched::Actions actions = std::exchange(actions_, {});
  scheduler_.on_event(event, loop_.time(), actions);
  ++events_;
  observer_.decided(event, loop_.time(), actions);
  for (sched::Action& action : actions) {
    observer_.acts(action);
    std::visit([this](auto& one) { carry_out(one); }, action);
  }
  actions.clear();
  actions_ = std::move(actions);
}

void Device::due(std::uint64_t of) {
  if (lost_) {
    return;
  }
  const std::uint64_t number = of >> kKindBits;
  switch (of & ((1U << kKindBits) - 1)) {
    case kEnd:
      hear_end(number);
      return;
    case kTimer:
      if (number == timer_number_) {
        timer_ = kNever;
        send(sched::TimerFired{});
      }
      return;
    case kHomed:
      hear_home(number);
      return;
    case kCrowd:
      if (number == crowd_number_) {
        look_after_crowd();
      }
      return;
    default:
      if (loop_.time() == sliced_due_) {
        look_after_slices();
      }
  }
}

void Device::hear_end(std::size_t slot) {
  const Running done = std::move(running_[slot]);
  free_slots_.push_back(slot);
  observer_.ran(done.launch, done.begin, done.end);
  observer_.ended(done.launch);
  send(sched::LaunchEnded{done.launch.launch, true, true, done.begin, done.end, {}});
}

void Device::hear_home(std::uint64_t number) {
  const auto found = homings_.find(number);
  const sched::PrepareHome home = found->second;
  homings_.erase(found);
  const auto failure = observer_.home_fails(home);
  if (models_.count(home.instance) == 0) {
    return;
  }
  if (failure) {
    send(sched::HomeFailed{home.instance, home.bucket, home.lane, home.slice, *failure});
  } else {
    send(sched::SliceReady{home.instance, home.slice, home.bucket, home.lane});
  }
}

std::size_t Device::take_slot() {
  if (free_slots_.empty()) {
    running_.emplace_back();
    return running_.size() - 1;
  }
  const std::size_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void Device::carry_out(sched::StartLaunch& launch) {
  const Model& model = models_.at(launch.instance);
  const Duration alone = model.run_time(launch.bucket, shape_.processors_in(launch.slice));
  const bool whole = launch.slice == shape_.whole();
  const std::size_t slot = take_slot();
  running_[slot].launch = std::move(launch);
  if (running_[slot].launch.after_lane_only) {
    join_crowd(slot, model, noisy(alone, traits_.contention_noise, Duration{0}));
    return;
  }
  sliced_.join(slot, running_[slot].launch.slice, noisy(alone, traits_.noise, whole ? Duration{0} : traits_.jitter),
               model.beside.neighbour, loop_.time());
  expect_end_in_slices();
}

void Device::ended(std::size_t slot, TimePoint begin) {
  Running& one = running_[slot];
  one.begin = begin;
  one.end = loop_.time();
  busy_atom_seconds_ += std::chrono::duration<double>(one.end - one.begin).count() * one.launch.slice.count;
  loop_.at(one.end + traits_.host_overhead, *this, token(kEnd, slot));
}

void Device::look_after_slices() {
  sliced_due_ = kNever;
  for (const SlicedRuns::Done& done : sliced_.leave(loop_.time())) {
    ended(done.who, done.begin);
  }
  expect_end_in_slices();
}

// An end may come sooner than was thought, or later: then there is none at the moment asked for.
void Device::expect_end_in_slices() {
  const TimePoint next = sliced_.next();
  if (next < sliced_due_) {
    sliced_due_ = next;
    loop_.at(next, *this, token(kSliced, 0));
  }
}

void Device::join_crowd(std::size_t slot, const Model& model, Duration alone) {
  Running& one = running_[slot];
  one.begin = loop_.time();
  // On few processors all of them work; the same work on the whole device is the part of it that does.
  const int least = shape_.processors_in(shape_.ladder.front());
  const int most = shape_.processors_in(one.launch.slice);
  const double fills = static_cast<double>(model.run_time(one.launch.bucket, least).count()) * least /
                       (std::max(1.0, static_cast<double>(model.run_time(one.launch.bucket, most).count())) * most);
  crowd_.join(slot, model.beside.contention * fills, alone, loop_.time());
  loop_.at(crowd_.next(), *this, token(kCrowd, ++crowd_number_));
}

void Device::look_after_crowd() {
  for (const std::size_t slot : crowd_.leave(loop_.time())) {
    ended(slot, running_[slot].begin);
  }
  if (crowd_.next() != kNever) {
    loop_.at(crowd_.next(), *this, token(kCrowd, ++crowd_number_));
  }
}

void Device::carry_out(sched::SetTimer& timer) {
  ++timer_number_;
  timer_ = timer.at;
  if (timer.at != kNever) {
    loop_.at(timer.at, *this, token(kTimer, timer_number_));
  }
}

void Device::carry_out(sched::PrepareHome& home) {
  homings_.emplace(++homing_number_, home);
  loop_.at(loop_.time() + traits_.homing_time, *this, token(kHomed, homing_number_));
}

void Device::carry_out(sched::InstanceDrained& gone) { models_.erase(gone.instance); }

Duration Device::noisy(Duration span, double noise, Duration jitter) {
  double out = static_cast<double>(span.count());
  if (noise > 0) {
    out *= std::exp(noise * random_.bell());
  }
  if (jitter > Duration{0}) {
    // No run takes much less than it has to.
    out = std::max(0.8 * out, out + static_cast<double>(jitter.count()) * random_.bell());
  }
  return Duration(static_cast<Duration::rep>(out));
}

}  // namespace tessera::sim
