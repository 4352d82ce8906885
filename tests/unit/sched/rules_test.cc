// Rules that hold under every policy: how a wait ends, what is bounded, what is lent.
#include <gtest/gtest.h>

#include "tests/support/every_policy.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

using sched::RejectReason;

class EveryPolicy : public ::testing::TestWithParam<std::string> {
 protected:
  World world(std::uint16_t atoms = 2) { return World(device_of(atoms), GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Sched, EveryPolicy, ::testing::ValuesIn(every_policy(true)), policy_as_name);

TEST_P(EveryPolicy, ALoneRequestOnAnIdleDeviceIsLaunchedInTheSameCall) {
  for (const bool profiled : {true, false}) {
    for (const bool slo : {true, false}) {
      World w = world();
      auto params = model("m");
      if (slo) {
        params.slo = 50ms;
      }
      const InstanceId m = w.add_model(params, Truth{}, profiled);
      w.run_until(at(1s));
      const RequestId r = w.request(m);
      ASSERT_EQ(w.launches().size(), 1U) << "profiled " << profiled << " slo " << slo;
      w.run_to_rest();
      EXPECT_TRUE(w.fate(r).ended);
      w.expect_all_ended();
    }
  }
}

// As a clock of coarse steps has it. What is learned from such runs is divided by later.
TEST_P(EveryPolicy, RunsThatTakeNoTimeSpoilNoPrediction) {
  World w = world(4);
  auto params = model("m", 4);
  params.slo = 50ms;
  const InstanceId m{1};
  w.add_model(m, params, Truth{.per_row = 0ms}, sched::Profile({{1, 1, 1ms}, {4, 4, 1ms}}));
  for (int i = 0; i < 300; ++i) {
    if (i == 200) w.truth(m).per_row = 1ms;
    // Ever more at once, so that sizes of slices and batches come which no run has shown, but others have corrected.
    for (int n = 0; n <= i / 20 % 10; ++n) {
      w.request(m);
    }
    w.run_until(at(Duration(20ms) * (i + 1)));
  }
  w.run_to_rest();
  w.expect_all_ended();
  for (const sched::StartLaunch& launch : w.launches()) {
    ASSERT_GE(launch.predicted, 0ns);
    ASSERT_LE(launch.predicted, 1s);
  }
}

// The world checks that nothing is launched where it has no plan.
TEST_P(EveryPolicy, AModelThatHasOneSliceIsServedThereBesideOthers) {
  for (const bool lazy : {false, true}) {
    for (const Slice slice : {Slice{0, 1}, Slice{4, 2}, Slice{0, 8}}) {
      World::Options options = World::with_policy(GetParam());
      options.home_everything = !lazy;
      World w(device_of(8), options);
      auto params = model("m", 4);
      params.slo = 100ms;
      const InstanceId only = w.add_model_in(slice, params, Truth{.per_row = 4ms});
      std::vector<InstanceId> others;
      for (int i = 0; i < 3; ++i) {
        params.name = "other " + std::to_string(i);
        others.push_back(w.add_model(params, Truth{.per_row = 8ms}));
        w.poisson(others.back(), 60, at(3s), static_cast<std::uint64_t>(i));
      }
      w.poisson(only, 40, at(3s), 7);
      w.run_to_rest();
      w.expect_all_ended();
      EXPECT_GT(w.score(only, at(500ms), at(3s)).attainment(), 0.9) << slice.first << "+" << slice.count;
      for (const InstanceId other : others) {
        EXPECT_GT(w.score(other, at(500ms), at(3s)).attainment(), 0.9) << slice.first << "+" << slice.count;
      }
    }
  }
}

// However busy the others keep its atoms, and whatever its ceiling is.
TEST_P(EveryPolicy, AModelThatHasOneSliceGetsItUnderSaturation) {
  for (const double share : {0.0, 0.5}) {
    World w(device_of(8), World::with_policy(GetParam()));
    auto params = model("only", 4);
    params.slo = 100ms;
    params.max_share = share == 0.0 ? 0.1 : 1.0;  // less than its slice
    params.reserved_share = share;
    const InstanceId only = w.add_model_in({0, 4}, params, Truth{.per_row = 16ms});
    auto greedy = model("greedy", 4);
    greedy.slo = 100ms;
    std::vector<InstanceId> others;
    for (int i = 0; i < 3; ++i) {
      others.push_back(w.add_model(greedy, Truth{.per_row = 8ms}));
      w.poisson(others.back(), 600, at(3s), static_cast<std::uint64_t>(i));  // nearly twice what there is
    }
    w.poisson(only, 40, at(3s), 7);
    w.run_to_rest();
    w.expect_all_ended();
    const auto score = w.score(only, at(500ms), at(3s));
    RecordProperty("attainment_percent", static_cast<int>(100 * score.attainment()));
    // One batch at a time is no more than its turn.
    const bool takes_turns = std::string_view(GetParam()).starts_with("temporal");
    EXPECT_GT(score.met, takes_turns ? 5 : score.offered / 4) << "share " << share;
  }
}

TEST_P(EveryPolicy, ATimeoutEndsAWaitAtExactlyItsMoment) {
  World w = world();
  const InstanceId m = w.add_model(model("m", 1), Truth{.per_row = 100ms});
  for (int i = 0; i < 4; ++i) {
    w.request(m);  // both atoms and every lane are busy for a while
  }
  auto impatient = w.arrival(m);
  impatient.timeout = 7ms;
  const RequestId r = w.request(impatient);
  w.run_until(at(7ms) - Duration{1});
  EXPECT_FALSE(w.fate(r).rejected);
  w.run_to_rest();
  ASSERT_TRUE(w.fate(r).rejected);
  EXPECT_EQ(w.fate(r).rejected.value(), at(7ms));
  EXPECT_EQ(w.fate(r).reason, RejectReason::kTimeout);
  w.expect_all_ended();
}

TEST_P(EveryPolicy, TheQueuePolicysTimeoutAppliesWhereItRejects) {
  World w = world();
  auto params = model("m", 1);
  params.default_queue_policy.default_timeout = 5ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 100ms});
  std::vector<RequestId> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(w.request(m));
  }
  w.run_to_rest();
  EXPECT_EQ(w.fate(requests.back()).rejected, at(5ms));
  EXPECT_EQ(w.fate(requests.back()).reason, RejectReason::kTimeout);
  w.expect_all_ended();
}

TEST_P(EveryPolicy, ADelayPolicyPutsARequestBehindTheOthers) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  params.default_queue_policy.default_timeout = 5ms;
  params.default_queue_policy.timeout_action = sched::TimeoutAction::kDelay;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.request(m);
  const RequestId old = w.request(m);
  w.run_until(at(6ms));
  const RequestId young = w.request(m);
  w.run_to_rest();
  EXPECT_EQ(w.fate(young).launched, at(10ms));
  EXPECT_EQ(w.fate(old).launched, at(20ms));
}

TEST_P(EveryPolicy, AnSloEndsAWaitUnderRejectAndNotUnderBestEffort) {
  for (const bool reject : {true, false}) {
    World w = world(1);
    auto params = model("m", 1);
    params.lanes = 1;
    params.slo = 15ms;
    params.slo_policy = reject ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
    const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
    w.request(m);
    w.request(m);
    const RequestId last = w.request(m);
    w.run_to_rest();
    EXPECT_EQ(w.fate(last).rejected.has_value(), reject);
    if (reject) {
      // Too few runs were seen to know better: it is rejected at its deadline, not before.
      EXPECT_EQ(w.fate(last).rejected.value(), at(15ms));
      EXPECT_EQ(w.fate(last).reason, RejectReason::kDeadline);
    }
    w.expect_all_ended();
  }
}

TEST_P(EveryPolicy, PriorityComesBeforeSlackWithinAModel) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  params.priority_levels = 3;
  params.default_priority = 2;
  params.slo = 1s;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.request(m);
  auto low = w.arrival(m);
  low.priority = 3;
  low.timeout = 100ms;
  auto high = w.arrival(m);
  high.priority = 1;
  const RequestId low_id = w.request(low);
  const RequestId middle_id = w.request(m);
  const RequestId high_id = w.request(high);
  w.run_to_rest();
  EXPECT_LT(w.fate(high_id).launched.value(), w.fate(middle_id).launched.value());
  EXPECT_LT(w.fate(middle_id).launched.value(), w.fate(low_id).launched.value());
}

// The order in which requests were launched.
std::vector<RequestId> order_of(const World& w) {
  std::vector<RequestId> order;
  for (const auto& launch : w.launches()) {
    order.insert(order.end(), launch.requests.begin(), launch.requests.end());
  }
  return order;
}

RequestId request_of(World& w, InstanceId id, std::uint32_t shape, std::uint32_t priority = 0,
                     std::optional<Duration> timeout = {}) {
  auto arrival = w.arrival(id);
  arrival.shape = ShapeId{shape};
  arrival.priority = priority;
  arrival.timeout = timeout;
  return w.request(arrival);
}

TEST_P(EveryPolicy, PriorityComesBeforeSlackAcrossShapes) {
  for (const bool slo : {true, false}) {
    World w = world(1);
    auto params = model("m", 4);
    params.lanes = 1;
    params.priority_levels = 3;
    params.default_priority = 2;
    if (slo) {
      params.slo = 1s;
    }
    const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
    const RequestId running = request_of(w, m, 0);
    const RequestId low = request_of(w, m, 1, 3, 100ms);  // the earliest deadline, and the earliest to come
    const RequestId middle = request_of(w, m, 2);
    const RequestId high = request_of(w, m, 3, 1);
    w.run_to_rest();
    EXPECT_EQ(order_of(w), (std::vector<RequestId>{running, high, middle, low})) << "slo " << slo;
  }
}

TEST_P(EveryPolicy, WhatTheDelayPolicyPutBackWaitsForOtherShapesToo) {
  World w = world(1);
  auto params = model("m", 4);
  params.lanes = 1;
  params.default_queue_policy.default_timeout = 5ms;
  params.default_queue_policy.timeout_action = sched::TimeoutAction::kDelay;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  const RequestId running = request_of(w, m, 0);
  const RequestId old = request_of(w, m, 1);
  w.run_until(at(6ms));
  const RequestId young = request_of(w, m, 2);
  w.run_to_rest();
  EXPECT_EQ(order_of(w), (std::vector<RequestId>{running, young, old}));
}

TEST_P(EveryPolicy, PreservedOrderingIsThatOfArrivalWhateverTheDeadlinesAndShapes) {
  World w = world(4);
  auto params = model("m", 4);
  params.lanes = 3;
  params.slo = 10s;
  params.preserve_ordering = true;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  std::vector<RequestId> sent;
  for (std::uint32_t i = 0; i < 12; ++i) {
    // Later ones have the earlier deadlines.
    sent.push_back(request_of(w, m, i % 5 % 3, 0, 9s - i * 100ms));
  }
  w.run_to_rest();
  EXPECT_EQ(order_of(w), sent);
  for (std::size_t i = 1; i < sent.size(); ++i) {
    EXPECT_GE(w.fate(sent[i]).ended.value(), w.fate(sent[i - 1]).ended.value()) << i;
  }
}

TEST_P(EveryPolicy, QueuesAreBounded) {
  World::Options options = World::with_policy(GetParam());
  options.limits.max_waiting = 6;
  World w(device_of(1), options);
  auto params = model("m", 1);
  params.lanes = 1;
  params.default_queue_policy.max_queue_size = 4;
  const InstanceId m = w.add_model(params, Truth{});
  std::vector<RequestId> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(w.request(m));  // one runs, four wait, one is too many
  }
  EXPECT_EQ(w.fate(requests[4]).rejected, std::nullopt);
  EXPECT_EQ(w.fate(requests[5]).reason, RejectReason::kQueueFull);
  auto other = model("n", 1);
  other.lanes = 1;
  const InstanceId n = w.add_model(other, Truth{});
  if (GetParam() == "streams") {
    w.request(n);  // runs beside
  }
  w.request(n);
  w.request(n);
  const RequestId beyond = w.request(n);
  EXPECT_EQ(w.fate(beyond).reason, RejectReason::kQueueFull);
  EXPECT_EQ(w.scheduler().waiting(), 6U);
  w.run_to_rest();
  w.expect_all_ended();
}

TEST_P(EveryPolicy, ACancelledRequestIsForgottenAndARunningOneFinished) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{});
  const RequestId running = w.request(m);
  const RequestId waiting = w.request(m);
  w.cancel(waiting);
  w.cancel(running);
  w.cancel(waiting);
  EXPECT_EQ(w.scheduler().waiting(), 0U);
  w.run_to_rest();
  EXPECT_EQ(w.launches().size(), 1U);
}

TEST_P(EveryPolicy, OnlyEqualShapesShareABatch) {
  World w = world(1);
  auto params = model("m", 8);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{.per_row = 1ms});
  w.request(m);
  std::map<RequestId, ShapeId> shapes;
  for (std::uint32_t i = 0; i < 12; ++i) {
    auto arrival = w.arrival(m);
    arrival.shape = ShapeId{i % 3};
    shapes[w.request(arrival)] = arrival.shape;
  }
  w.run_to_rest();
  for (const auto& launch : w.launches()) {
    for (const RequestId id : launch.requests) {
      EXPECT_EQ(shapes[id], shapes[launch.requests[0]]);
    }
  }
  w.expect_all_ended();
}

TEST_P(EveryPolicy, ADrainedModelAnswersWhatItAcceptedAndNothingMore) {
  World w = world(1);
  const InstanceId m = w.add_model(model("m", 1), Truth{});
  const RequestId first = w.request(m);
  const RequestId second = w.request(m);
  w.send(sched::ModelDown{m});
  const RequestId late = w.request(m);
  EXPECT_EQ(w.fate(late).reason, RejectReason::kModelGone);
  EXPECT_TRUE(w.drained().empty());
  w.run_to_rest();
  EXPECT_TRUE(w.fate(first).ended && w.fate(second).ended);
  EXPECT_EQ(w.drained().count(m), 1U);
  EXPECT_EQ(w.scheduler().profile(m), nullptr);
}

TEST_P(EveryPolicy, ALostDeviceRejectsWhatWaitsAndWhatComes) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{});
  w.request(m);
  const RequestId waiting = w.request(m);
  w.run_until(at(500us));
  w.send(sched::DeviceDown{});
  EXPECT_EQ(w.fate(waiting).reason, RejectReason::kDeviceDown);
  const RequestId late = w.request(m);
  EXPECT_EQ(w.fate(late).reason, RejectReason::kDeviceDown);
  w.wanted_loader_slice.reset();
  w.send(sched::LoaderWants{{0, 1}, 1ms});
  EXPECT_EQ(w.loader_grants(), 1);  // its step finds out by itself
}

TEST_P(EveryPolicy, TheLoaderGetsItsSliceAfterASecondAtTheLatest) {
  World w = world(2);
  auto params = model("m", 1);
  params.slo = 60ms;  // two runs one after the other: the guard would never lend
  params.lanes = 4;
  const InstanceId m = w.add_model(params, Truth{.per_row = 40ms});
  w.poisson(m, 60, at(3s), 5);
  w.run_until(at(100ms));
  w.wanted_loader_slice = Slice{1, 1};
  w.send(sched::LoaderWants{{1, 1}, 3s});
  w.run_until(at(100ms + 1s + 41ms));
  EXPECT_EQ(w.loader_grants(), 1);
  w.run_until(at(2s));
  w.loader_done();
  w.run_to_rest();
  w.expect_all_ended();
}

TEST_P(EveryPolicy, TheLoaderGetsAnIdleDeviceAtOnce) {
  World w = world(2);
  auto params = model("m", 1);
  params.slo = 60ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.wanted_loader_slice = Slice{1, 1};
  w.send(sched::LoaderWants{{1, 1}, 100ms});
  EXPECT_EQ(w.loader_grants(), 1);
  const RequestId r = w.request(m);  // is served beside it
  EXPECT_TRUE(w.fate(r).launched);
  w.run_to_rest();
  w.loader_done();
}

TEST_P(EveryPolicy, ALaneThatTheLoaderWantsIsGrantedWhenItsBatchEnds) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.request(m);
  const RequestId next = w.request(m);
  w.send(sched::LaneWanted{m, LaneIndex{0}});
  EXPECT_EQ(w.lane_grants(), 0);
  w.run_until(at(15ms));
  EXPECT_EQ(w.lane_grants(), 1);
  EXPECT_FALSE(w.fate(next).launched);
  w.send(sched::LaneDone{m, LaneIndex{0}});
  EXPECT_TRUE(w.fate(next).launched);
  w.run_to_rest();
}

TEST_P(EveryPolicy, ASliceWithoutAHomeIsNoOptionAndIsAskedFor) {
  World::Options options = World::with_policy(GetParam());
  options.home_everything = false;
  World w(device_of(2), options);
  const InstanceId m = w.add_model(model("m", 2), Truth{});
  const RequestId r = w.request(m);
  EXPECT_FALSE(w.fate(r).launched);
  EXPECT_FALSE(w.homings().empty());
  w.run_to_rest();
  EXPECT_TRUE(w.fate(r).ended);
}

TEST_P(EveryPolicy, ARequestWithoutItsInputIsNotLaunched) {
  World w = world(1);
  const InstanceId m = w.add_model(model("m"), Truth{});
  auto arrival = w.arrival(m);
  arrival.input_ready = false;
  const RequestId r = w.request(arrival);
  w.run_until(at(5ms));
  EXPECT_FALSE(w.fate(r).launched);
  w.send(sched::InputReady{r, w.now()});
  EXPECT_TRUE(w.fate(r).launched);
  w.run_to_rest();
}

TEST_P(EveryPolicy, AFailedLaunchFreesWhatItHeld) {
  World w = world(1);
  auto params = model("m", 1);
  params.lanes = 1;
  const auto shared = std::make_shared<const sched::ModelParams>(params);
  sched::Scheduler scheduler(device_of(1), policy(GetParam()), {});
  sched::Actions actions;
  scheduler.on_event(sched::ModelUp{InstanceId{1}, shared, {}}, at(0ms), actions);
  scheduler.on_event(sched::SliceReady{InstanceId{1}, {0, 1}, {}, {}}, at(0ms), actions);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    sched::Arrival arrival;
    arrival.request = RequestId{i};
    arrival.instance = InstanceId{1};
    scheduler.on_event(arrival, at(0ms), actions);
  }
  actions.clear();
  scheduler.on_event(sched::LaunchEnded{LaunchId{1}, false, false, {}, {}, {}}, at(1ms), actions);
  EXPECT_EQ(scheduler.in_flight(), 1U);  // the next one took its place
  EXPECT_TRUE(scheduler.profile(InstanceId{1})->points().empty()) << "nothing is learned from a failure";
  scheduler.on_event(sched::LaunchEnded{LaunchId{2}, true, true, at(1ms), at(2ms), 1ms}, at(2ms), actions);
  EXPECT_TRUE(scheduler.profile(InstanceId{1})->points().empty()) << "nor from a run whose end was seen late";
}

TEST_P(EveryPolicy, ALateTimerAndAStaleOneDoNoHarm) {
  World w = world(1);
  const InstanceId m = w.add_model(model("m", 1), Truth{});
  w.request(m);
  for (int i = 0; i < 3; ++i) {
    w.send(sched::TimerFired{});
  }
  w.run_to_rest();
  w.expect_all_ended();
}

}  // namespace
}  // namespace tessera::testing
