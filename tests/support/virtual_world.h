// A simulated device (sim/device.h) that takes as long as it is told: what unit, property and simulation tests of
// src/sched share. It checks every action against the rules that hold for all policies.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "core/slice.h"
#include "sched/policy.h"
#include "sched/scheduler.h"
#include "sim/device.h"
#include "sim/loop.h"
#include "tests/support/timeline.h"

namespace tessera::testing {

using namespace std::chrono_literals;

inline TimePoint at(Duration since_start) { return TimePoint(since_start); }

inline DeviceShape device_of(std::uint16_t atoms, std::uint16_t processors_per_atom = 1) {
  DeviceShape shape;
  shape.name = "virtual";
  shape.processors.assign(atoms, processors_per_atom);
  shape.ladder = aligned_ladder(atoms);
  shape.loader = loader_slice(atoms);
  return shape;
}

// Time of one run: a + b * rows, spread over processors with a part that is not spread.
struct Truth {
  Duration fixed = 0ms;      // whatever the slice and the rows
  Duration per_batch = 0ms;  // on one processor
  Duration per_row = 1ms;    // on one processor
  double slowdown = 1.0;     // may change during a run

  Duration operator()(std::int32_t bucket, std::int32_t processors) const {
    const auto spread = static_cast<double>((per_batch + per_row * bucket).count()) / processors;
    return Duration(static_cast<Duration::rep>((static_cast<double>(fixed.count()) + spread) * slowdown));
  }
};

inline sched::ModelParams model(std::string name, std::int32_t max_batch = 8) {
  sched::ModelParams params;
  params.name = std::move(name);
  params.max_batch_size = max_batch;
  for (std::int32_t bucket = 1; bucket < max_batch; bucket *= 2) {
    params.buckets.push_back(bucket);
  }
  params.buckets.push_back(max_batch);
  params.dynamic_batching = max_batch > 1;
  return params;
}

inline std::unique_ptr<sched::Policy> policy(std::string_view name) {
  auto made = sched::make_policy(name);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message());
  return std::move(made).value();
}

// What became of a request.
struct Fate {
  InstanceId instance;
  TimePoint arrival{};
  std::optional<TimePoint> launched;
  std::optional<TimePoint> ended;
  std::optional<TimePoint> rejected;
  sched::RejectReason reason{};
  bool cancelled = false;
  Slice slice;
  std::int32_t batch = 0;  // requests that ran together
};

class World : private sim::Observer, private sim::Loop::Target {
 public:
  struct Options {
    std::string policy = "tessera";
    sched::SchedulerLimits limits;
    Duration host_overhead = 0us;  // between a run's end and the scheduler hearing of it
    double noise = 0.0;            // sigma of the runs' log-normal factor
    std::uint64_t seed = 1;
    double neighbour = 0;         // what busy neighbours cost a run (sim/sliced_runs.h)
    bool home_everything = true;  // at ModelUp; otherwise PrepareHome is answered after homing_time
    Duration homing_time = 1ms;
    bool keep_log = false;
    // What is to decide in place of the policy named, which it is given.
    std::function<std::unique_ptr<sched::Policy>(std::unique_ptr<sched::Policy>)> watched_by;
  };

  World(DeviceShape shape, Options options)
      : options_(options),
        device_(loop_, shape, policy_of(options), options.limits, traits(options), options.seed, *this),
        atom_depth_(shape.atoms(), 0) {}
  World(DeviceShape shape, std::string_view policy_name) : World(std::move(shape), with_policy(policy_name)) {}

  static Options with_policy(std::string_view name) {
    Options options;
    options.policy = name;
    return options;
  }

  // ---- Building a scenario ----

  InstanceId add_model(sched::ModelParams params, Truth truth, bool profiled = true) {
    const InstanceId id{next_instance_++};
    sched::Profile profile = profiled ? profile_of(params, truth) : sched::Profile();
    add_model(id, std::move(params), truth, std::move(profile));
    return id;
  }

  void add_model(InstanceId id, sched::ModelParams params, Truth truth, sched::Profile profile) {
    auto shared = std::make_shared<const sched::ModelParams>(std::move(params));
    models_[id] = {shared, truth};
    if (options_.home_everything) {
      for (const Slice& slice : device_.shape().ladder) {
        note_home(id, slice);
      }
    }
    device_.add_model(
        id, shared,
        [this, id](std::int32_t bucket, std::int32_t processors) { return models_.at(id).truth(bucket, processors); },
        std::move(profile));
  }

  // Has plans in one slice and one lane alone, and will have no others.
  InstanceId add_model_in(const Slice& slice, sched::ModelParams params, Truth truth) {
    const InstanceId id{next_instance_++};
    params.lanes = 1;
    auto shared = std::make_shared<const sched::ModelParams>(std::move(params));
    models_[id] = {shared, truth};
    note_home(id, slice);
    device_.add_model(
        id, shared,
        [this, id](std::int32_t bucket, std::int32_t processors) { return models_.at(id).truth(bucket, processors); },
        profile_of(*shared, truth), false, slice);
    return id;
  }

  // Up without any plan: its buckets come one by one.
  InstanceId add_model_without_buckets(sched::ModelParams params, Truth truth) {
    const InstanceId id{next_instance_++};
    auto shared = std::make_shared<const sched::ModelParams>(std::move(params));
    models_[id] = {shared, truth};
    device_.add_model(
        id, shared,
        [this, id](std::int32_t bucket, std::int32_t processors) { return models_.at(id).truth(bucket, processors); },
        profile_of(*shared, truth), true);
    return id;
  }
  // In the whole device, in one lane.
  void bucket_comes(InstanceId id, std::int32_t bucket, LaneIndex lane = {}) {
    const Slice whole = device_.shape().whole();
    home_comes({id, whole, bucket, lane});
    send(sched::SliceReady{id, whole, bucket, lane});
  }

  void home(InstanceId id, const Slice& slice) {
    note_home(id, slice);
    send(sched::SliceReady{id, slice, std::nullopt, std::nullopt});
  }

  sched::Profile profile_of(const sched::ModelParams& params, const Truth& truth) const {
    std::vector<sched::ProfilePoint> points;
    std::set<std::int32_t> sizes;
    for (const Slice& slice : device_.shape().ladder) {
      sizes.insert(device_.shape().processors_in(slice));
    }
    for (const std::int32_t bucket : params.buckets) {
      for (const std::int32_t processors : sizes) {
        points.push_back({bucket, processors, truth(bucket, processors)});
      }
    }
    return sched::Profile(points);
  }

  Truth& truth(InstanceId id) { return models_.at(id).truth; }

  sched::Arrival arrival(InstanceId id) {
    sched::Arrival arrival;
    arrival.request = RequestId{next_request_++};
    arrival.instance = id;
    arrival.arrival = now();
    return arrival;
  }

  // Sends a request now, or schedules it.
  RequestId request(InstanceId id) { return request(arrival(id)); }
  RequestId request(sched::Arrival arrival) {
    fates_[arrival.request] = Fate{arrival.instance, arrival.arrival, {}, {}, {}, {}, false, {}, 0};
    send(arrival);
    return arrival.request;
  }
  void poisson(InstanceId id, double per_second, TimePoint until, std::uint64_t seed) {
    auto random = std::make_shared<std::mt19937_64>(seed);
    next_poisson(id, per_second, until, std::move(random));
  }
  void later(TimePoint when, std::function<void()> what) {
    later_.push_back(std::move(what));
    loop_.at(when, *this, later_.size() - 1);
  }

  // ---- Running ----

  void send(const sched::Event& event) { device_.send(event); }

  void run_until(TimePoint end) { loop_.run_until(end); }
  void run_until(Duration since_start) { run_until(at(since_start)); }
  void run_to_rest(TimePoint limit = at(3600s)) {
    while (loop_.step(limit)) {
    }
  }

  // ---- Looking ----

  TimePoint now() const { return loop_.time(); }
  // The instances of the requests that were answered since this was called last.
  std::vector<InstanceId> take_answered() { return std::exchange(answered_, {}); }
  const Fate& fate(RequestId id) const { return fates_.at(id); }
  const std::map<RequestId, Fate>& fates() const { return fates_; }
  const std::vector<sched::StartLaunch>& launches() const { return launches_; }
  const std::vector<sched::PrepareHome>& homings() const { return homings_; }
  const Timeline& timeline() const { return timeline_; }
  const DeviceShape& shape() const { return device_.shape(); }
  const sched::ModelParams& params(InstanceId id) const { return *models_.at(id).params; }
  const sched::Scheduler& scheduler() const { return device_.scheduler(); }
  TimePoint timer() const { return device_.timer(); }
  int loader_grants() const { return loader_grants_; }
  std::size_t homes_asked() const { return homes_asked_; }  // and not there yet
  std::size_t homes() const { return homed_.size(); }
  std::size_t most_homes() const { return most_homes_; }
  std::size_t drops() const { return drops_; }
  bool homed(InstanceId id, const Slice& slice, std::int32_t bucket, LaneIndex lane = {}) const {
    return homed_.count({id, slice, bucket, lane}) != 0;
  }
  int lane_grants() const { return lane_grants_; }
  const std::vector<std::pair<TimePoint, sched::LaunchStuck>>& stuck() const { return stuck_; }
  const std::vector<sched::StuckEnded>& stuck_ended() const { return stuck_ended_; }
  std::set<InstanceId> drained() const { return drained_; }
  std::string log() const { return log_.str(); }
  std::uint64_t events() const { return device_.events(); }
  double busy_atom_seconds() const { return device_.busy_atom_seconds(); }

  struct Score {
    std::size_t offered = 0;
    std::size_t met = 0;
    std::size_t rejected = 0;
    double attainment() const { return offered == 0 ? 1.0 : static_cast<double>(met) / static_cast<double>(offered); }
  };
  // Of the requests that arrived in [from, until).
  Score score(InstanceId id, TimePoint from, TimePoint until) const {
    Score score;
    const auto slo = models_.at(id).params->slo;
    for (const auto& [request, fate] : fates_) {
      if (fate.instance != id || fate.arrival < from || fate.arrival >= until || fate.cancelled) {
        continue;
      }
      ++score.offered;
      score.rejected += fate.rejected ? 1 : 0;
      score.met += fate.ended && (!slo || *fate.ended - fate.arrival <= *slo) ? 1 : 0;
    }
    return score;
  }

  // Every request that was sent ended in exactly one way.
  void expect_all_ended() const {
    for (const auto& [request, fate] : fates_) {
      const int ways = (fate.ended ? 1 : 0) + (fate.rejected ? 1 : 0) + (fate.cancelled && !fate.launched ? 1 : 0);
      EXPECT_EQ(ways, 1) << "request " << request.value << " of instance " << fate.instance.value << " arrived at "
                         << fate.arrival.time_since_epoch().count();
    }
    EXPECT_EQ(scheduler().waiting(), 0U);
    EXPECT_EQ(scheduler().in_flight(), 0U);
  }

  void cancel(RequestId id) {
    Fate& fate = fates_.at(id);
    if (!fate.ended && !fate.rejected) {
      fate.cancelled = true;
    }
    send(sched::Cancelled{id});
  }

 private:
  struct Model {
    std::shared_ptr<const sched::ModelParams> params;
    Truth truth;
  };

  static std::unique_ptr<sched::Policy> policy_of(const Options& options) {
    auto named = policy(options.policy);
    return options.watched_by ? options.watched_by(std::move(named)) : std::move(named);
  }

  static sim::DeviceTraits traits(const Options& options) {
    sim::DeviceTraits traits;
    traits.host_overhead = options.host_overhead;
    traits.noise = options.noise;
    traits.beside.neighbour = options.neighbour;
    traits.home_everything = options.home_everything;
    traits.homing_time = options.homing_time;
    return traits;
  }

  void note_home(InstanceId id, const Slice& slice) {
    const sched::ModelParams& params = *models_.at(id).params;
    for (const std::int32_t bucket : params.buckets) {
      for (std::uint16_t lane = 0; lane < params.lanes; ++lane) {
        home_comes({id, slice, bucket, LaneIndex{lane}});
      }
    }
  }

  void home_comes(const Timeline::Home& home) {
    if (homed_.insert(home).second) {
      timeline_.home_comes(home, now());
    }
  }

  void due(std::uint64_t token) override { std::exchange(later_[token], nullptr)(); }

  void acts(const sched::Action& action) override {
    note(action);
    std::visit([this](const auto& one) { check(one); }, action);
  }

  void ran(const sched::StartLaunch& launch, TimePoint begin, TimePoint end) override {
    const TimePoint launched = *fates_.at(launch.requests.front()).launched;
    timeline_.add(
        {launch.instance, launch.lane, launch.slice, launch.bucket, launch.rows, {launched, now()}, {begin, end}});
  }

  void ended(const sched::StartLaunch& launch) override {
    lanes_busy_.erase({launch.instance, launch.lane});
    homes_in_use_.erase({launch.instance, launch.slice, launch.bucket, launch.lane});
    for (std::uint16_t atom = launch.slice.first; atom < launch.slice.end(); ++atom) {
      --atom_depth_[atom];
    }
    for (const RequestId id : launch.requests) {
      fates_.at(id).ended = now();
      answered_.push_back(launch.instance);
    }
  }

  void next_poisson(InstanceId id, double per_second, TimePoint until, std::shared_ptr<std::mt19937_64> random) {
    // Not std::exponential_distribution, whose results differ between standard libraries.
    const double uniform = (static_cast<double>((*random)() >> 11) + 0.5) / 9007199254740992.0;
    const TimePoint when = now() + Duration(static_cast<Duration::rep>(-std::log(uniform) / per_second * 1e9));
    if (when >= until) {
      return;
    }
    later(when, [this, id, per_second, until, random] {
      request(id);
      next_poisson(id, per_second, until, random);
    });
  }

  void check(const sched::StartLaunch& launch) {
    const Model& model = models_.at(launch.instance);
    ASSERT_TRUE(lanes_busy_.insert({launch.instance, launch.lane}).second) << "a lane is used twice";
    ASSERT_LT(launch.lane.value, model.params->lanes);
    const Home home{launch.instance, launch.slice, launch.bucket, launch.lane};
    ASSERT_TRUE(homed_.count(home)) << "launched on a slice that is not homed";
    homes_in_use_.insert(home);
    ASSERT_FALSE(loader_slice_ && loader_slice_->overlaps(launch.slice)) << "launched on what is lent";
    ASSERT_FALSE(launch.requests.empty());
    ASSERT_LE(launch.rows, launch.bucket);
    for (std::uint16_t atom = launch.slice.first; atom < launch.slice.end(); ++atom) {
      ++atom_depth_[atom];
      if (!launch.after_lane_only) {
        ASSERT_LE(atom_depth_[atom], 1 + options_.limits.committed_per_atom) << "an atom is used twice";
      }
    }
    for (const RequestId id : launch.requests) {
      Fate& fate = fates_.at(id);
      ASSERT_FALSE(fate.launched || fate.rejected || fate.cancelled) << "request " << id.value << " ended before";
      fate.launched = now();
      fate.slice = launch.slice;
      fate.batch = static_cast<std::int32_t>(launch.requests.size());
    }
    launches_.push_back(launch);
  }

  void check(const sched::Reject& reject) {
    Fate& fate = fates_.at(reject.request);
    ASSERT_FALSE(fate.launched || fate.rejected || fate.cancelled)
        << "request " << reject.request.value << " ended before";
    fate.rejected = now();
    fate.reason = reject.reason;
  }

  void check(const sched::SetTimer& timer) {
    ASSERT_NE(timer.at, device_.timer()) << "a timer set to what it was";
    ASSERT_GT(timer.at, now());
  }

  void check(const sched::PrepareHome& wanted) {
    homings_.push_back(wanted);
    ++homes_asked_;
  }
  std::optional<bool> home_fails(const sched::PrepareHome& wanted) override {
    --homes_asked_;
    const auto failure = home_failure ? home_failure(wanted) : std::nullopt;
    if (!failure && !drained_.count(wanted.instance)) {
      home_comes({wanted.instance, wanted.slice, wanted.bucket, wanted.lane});
      most_homes_ = std::max(most_homes_, homed_.size());
    }
    return failure;
  }
  void check(const sched::DropHome& drop) {
    const Home home{drop.instance, drop.slice, drop.bucket, drop.lane};
    ASSERT_EQ(homed_.erase(home), 1U) << "what is not homed was dropped";
    timeline_.home_goes(home, now());
    ASSERT_EQ(homes_in_use_.count(home), 0U) << "a home was dropped while it ran";
    ++drops_;
  }
  void check(const sched::LaunchStuck& stuck) { stuck_.push_back({now(), stuck}); }
  void check(const sched::StuckEnded& ended) { stuck_ended_.push_back(ended); }
  void check(const sched::GrantLoader&) {
    ++loader_grants_;
    if (wanted_loader_slice) {
      for (std::uint16_t atom = wanted_loader_slice->first; atom < wanted_loader_slice->end(); ++atom) {
        EXPECT_EQ(atom_depth_[atom], 0) << "lent while it runs";
      }
      loader_slice_ = wanted_loader_slice;
      timeline_.lent(*loader_slice_, now());
    }
  }
  void check(const sched::GrantLane& grant) {
    ++lane_grants_;
    EXPECT_FALSE(lanes_busy_.count({grant.instance, grant.lane}));
  }
  void check(const sched::InstanceDrained& gone) {
    EXPECT_TRUE(drained_.insert(gone.instance).second);
    std::erase_if(homed_, [&](const Home& home) { return std::get<InstanceId>(home) == gone.instance; });
  }

  void note(const sched::Action& action) {
    if (!options_.keep_log) {
      return;
    }
    log_ << now().time_since_epoch().count() << ' ' << action.index();
    if (const auto* launch = std::get_if<sched::StartLaunch>(&action)) {
      log_ << " L" << launch->launch.value << " i" << launch->instance.value << " b" << launch->bucket << " l"
           << launch->lane.value << " s" << launch->slice.first << '+' << launch->slice.count << " p"
           << launch->predicted.count();
      for (const RequestId id : launch->requests) {
        log_ << ' ' << id.value;
      }
    } else if (const auto* reject = std::get_if<sched::Reject>(&action)) {
      log_ << " R" << reject->request.value << ' ' << static_cast<int>(reject->reason) << ' '
           << reject->retry_after.count();
    } else if (const auto* timer = std::get_if<sched::SetTimer>(&action)) {
      log_ << " T" << timer->at.time_since_epoch().count();
    }
    log_ << '\n';
  }

 public:
  // Whether making a home fails; true: for good.
  std::function<std::optional<bool>(const sched::PrepareHome&)> home_failure;

  // Set before LoaderWants is sent, so that the loan can be checked.
  std::optional<Slice> wanted_loader_slice;
  void loader_done() {
    if (loader_slice_) {
      timeline_.given_back(now());
    }
    loader_slice_.reset();
    wanted_loader_slice.reset();
    send(sched::LoaderDone{});
  }

 private:
  Options options_;
  sim::Loop loop_;
  sim::Device device_;
  std::vector<std::function<void()>> later_;
  std::uint32_t next_instance_ = 1;
  std::uint64_t next_request_ = 1;
  std::map<InstanceId, Model> models_;
  std::map<RequestId, Fate> fates_;
  std::vector<InstanceId> answered_;
  std::vector<sched::StartLaunch> launches_;
  std::vector<sched::PrepareHome> homings_;
  using Home = Timeline::Home;
  Timeline timeline_;
  std::set<Home> homed_;
  std::set<Home> homes_in_use_;
  std::size_t homes_asked_ = 0;
  std::size_t most_homes_ = 0;
  std::size_t drops_ = 0;
  std::set<std::pair<InstanceId, LaneIndex>> lanes_busy_;
  std::vector<int> atom_depth_;
  std::optional<Slice> loader_slice_;
  std::set<InstanceId> drained_;
  int loader_grants_ = 0;
  int lane_grants_ = 0;
  std::vector<std::pair<TimePoint, sched::LaunchStuck>> stuck_;
  std::vector<sched::StuckEnded> stuck_ended_;
  std::ostringstream log_;
};

}  // namespace tessera::testing
