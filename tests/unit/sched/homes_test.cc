// Homes that are made when a policy wants them, and go again: how many there may be, which one goes, which never does.
#include <gtest/gtest.h>

#include "sched/journal.h"
#include "sched/view.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

World::Options lazily(std::size_t max_homes = 1024) {
  World::Options options;
  options.home_everything = false;
  options.limits.max_homes = max_homes;
  return options;
}

sched::ModelParams one_bucket(std::string name, std::uint16_t lanes = 1) {
  auto params = model(std::move(name), 1);
  params.lanes = lanes;
  return params;
}

TEST(Homes, OnlyOfLazyInstancesIsOneAskedFor) {
  World w(device_of(4), "tessera");
  const InstanceId m = w.add_model(model("m"), Truth{});
  w.request(m);
  w.run_to_rest();
  EXPECT_TRUE(w.homings().empty());
}

TEST(Homes, ThePolicyTakesWhatIsHomedAndAsksForWhatItWouldHaveLiked) {
  World w(device_of(4), lazily());
  const InstanceId m = w.add_model(one_bucket("m"), Truth{.fixed = 10ms, .per_row = 1us});
  w.run_until(1500us);
  EXPECT_TRUE(w.homed(m, {0, 4}, 1)) << "the whole device comes first";
  // Nothing is gained by more than one atom here.
  const RequestId first = w.request(m);
  EXPECT_EQ(w.fate(first).slice, (Slice{0, 4})) << "it does not wait for a better one";
  ASSERT_FALSE(w.homings().empty());
  EXPECT_EQ(w.homings().back().slice.count, 1);
  w.run_until(50ms);
  const RequestId second = w.request(m);
  EXPECT_EQ(w.fate(second).slice.count, 1);
  w.run_to_rest();
}

TEST(Homes, TheOneThatWasNotUsedForLongestGoesAndTheWholeDevicesNever) {
  // Of three models each has the whole device; two of them may have one more.
  World w(device_of(4), lazily(5));
  const Truth truth{.fixed = 10ms, .per_row = 1us};
  std::vector<InstanceId> models;
  for (const char* name : {"a", "b", "c"}) {
    models.push_back(w.add_model(one_bucket(name), truth));
  }
  Duration at{10ms};
  for (const InstanceId m : models) {
    for (int i = 0; i < 2; ++i) {
      w.run_until(at);
      w.request(m);
      at += 2s;
    }
  }
  w.run_to_rest();
  EXPECT_EQ(w.drops(), 1U);
  EXPECT_EQ(w.homes(), 5U);
  const auto small = [&](InstanceId m) {
    int homes = 0;
    for (std::uint16_t atom = 0; atom < 4; ++atom) {
      homes += w.homed(m, {atom, 1}, 1) ? 1 : 0;
    }
    return homes;
  };
  EXPECT_EQ(small(models[0]), 0) << "its home was used first";
  EXPECT_EQ(small(models[1]), 1);
  EXPECT_EQ(small(models[2]), 1);
  for (const InstanceId m : models) {
    EXPECT_TRUE(w.homed(m, {0, 4}, 1));
  }
}

TEST(Homes, WhatWasUsedAMomentAgoIsNotDroppedForAnother) {
  World w(device_of(4), lazily(3));
  const Truth truth{.fixed = 10ms, .per_row = 1us};
  const InstanceId a = w.add_model(one_bucket("a"), truth);
  const InstanceId b = w.add_model(one_bucket("b"), truth);
  for (int i = 0; i < 100; ++i) {
    w.run_until(10ms + 20ms * i);
    w.request(i % 2 == 0 ? a : b);
  }
  w.run_to_rest();
  EXPECT_EQ(w.drops(), 0U);
  EXPECT_LE(w.most_homes(), 3U);
}

// Launches whatever waits in the last atom's slice, and would have liked the first one's.
class Wishful final : public sched::Policy {
 public:
  std::string_view name() const override { return "wishful"; }
  void decide(const sched::View& view, TimePoint /*now*/, sched::Decisions& out) override {
    if (view.active.empty() || view.device.in_flight() > 0) {
      return;
    }
    out.launches.push_back({InstanceId{1}, ShapeId{0}, 1, 1, LaneIndex{0}, Slice{1, 1}});
    out.wanted_homes.push_back({InstanceId{1}, Slice{0, 1}, std::nullopt});
  }
};

TEST(Homes, RoomIsNotMadeByDroppingWhatTheSameDecisionUses) {
  const DeviceShape shape = device_of(2);
  sched::SchedulerLimits limits;
  limits.max_homes = 2;
  sched::Scheduler scheduler(shape, std::make_unique<Wishful>(), limits);
  sched::Actions actions;
  sched::ModelUp up;
  up.instance = {1};
  up.params = std::make_shared<sched::ModelParams>(one_bucket("m"));
  up.lazy_homes = true;
  scheduler.on_event(up, TimePoint(1ms), actions);
  for (const Slice slice : {shape.whole(), Slice{1, 1}}) {
    scheduler.on_event(sched::SliceReady{{1}, slice, 1, LaneIndex{0}}, TimePoint(2ms), actions);
  }
  actions.clear();
  sched::Arrival arrival;
  arrival.request = {1};
  arrival.instance = {1};
  arrival.arrival = TimePoint(5s);  // the home of the last atom is the one that was not used for longest
  scheduler.on_event(arrival, TimePoint(5s), actions);
  int launches = 0;
  for (const sched::Action& action : actions) {
    const auto* launch = std::get_if<sched::StartLaunch>(&action);
    launches += launch != nullptr && launch->slice == Slice{1, 1} ? 1 : 0;
    EXPECT_FALSE(std::holds_alternative<sched::DropHome>(action)) << sched::describe(action);
  }
  EXPECT_EQ(launches, 1);
}

TEST(Homes, AnImpossibleOneIsAskedForOnceAndAFailedOneAgainAfterAPause) {
  for (const bool for_good : {true, false}) {
    SCOPED_TRACE(for_good);
    World w(device_of(2), lazily());
    w.home_failure = [&](const sched::PrepareHome& home) {
      return home.slice.count == 1 ? std::optional(for_good) : std::nullopt;
    };
    const InstanceId m = w.add_model(one_bucket("m"), Truth{.fixed = 5ms, .per_row = 1us});
    for (int i = 1; i <= 50; ++i) {
      w.run_until(10ms * i);
      w.request(m);
    }
    w.run_to_rest();
    w.expect_all_ended();
    std::size_t small = 0;
    for (const sched::PrepareHome& home : w.homings()) {
      small += home.slice.count == 1 ? 1 : 0;
    }
    EXPECT_LE(small, for_good ? 2U : 12U);
    EXPECT_GE(small, for_good ? 2U : 4U);
  }
}

TEST(Homes, SoManyAreAskedForAtATime) {
  World::Options options = lazily();
  options.limits.max_homes_asked = 3;
  options.homing_time = 200ms;
  World w(device_of(8), options);
  const InstanceId m = w.add_model(one_bucket("m", 8), Truth{.fixed = 5ms, .per_row = 1us});
  w.run_until(300ms);
  EXPECT_EQ(w.homings().size(), 9U) << "one of each lane, in the whole device, and one that nobody wants yet";
  for (int i = 0; i < 20; ++i) {
    w.request(m);
  }
  EXPECT_GT(w.homes_asked(), 1U);
  EXPECT_LE(w.homes_asked(), 3U);
  w.run_to_rest();
  w.expect_all_ended();
}

// Asks for the same home whenever it is asked what to do, and launches what waits in the first lane.
class Wanting final : public sched::Policy {
 public:
  std::string_view name() const override { return "wanting"; }
  void decide(const sched::View& view, TimePoint /*now*/, sched::Decisions& out) override {
    if (!view.active.empty() && view.device.in_flight() == 0) {
      out.launches.push_back({InstanceId{1}, ShapeId{0}, 1, 1, LaneIndex{0}, Slice{0, 2}});
    }
    out.wanted_homes.push_back({InstanceId{1}, Slice{0, 1}, 0});
  }
};

class OneLaneTest : public ::testing::Test {
 protected:
  OneLaneTest() {
    sched::ModelUp up;
    up.instance = {1};
    up.params = std::make_shared<sched::ModelParams>(one_bucket("m", 3));
    up.lazy_homes = true;
    up.all_buckets = false;
    send(up);
    EXPECT_TRUE(wanted().empty()) << "nothing is captured";
  }
  void send(const sched::Event& event) { scheduler_.on_event(event, at_ += 1ms, actions_); }
  void ready(std::uint16_t lane, Slice slice) { send(sched::SliceReady{{1}, slice, 1, LaneIndex{lane}}); }
  // Of which lanes since the last call.
  std::vector<std::uint16_t> wanted() {
    std::vector<std::uint16_t> lanes;
    for (const sched::Action& action : std::exchange(actions_, {})) {
      const auto* home = std::get_if<sched::PrepareHome>(&action);
      if (home != nullptr) {
        lanes.push_back(home->lane.value);
      }
    }
    return lanes;
  }
  LaunchId launch() {
    sched::Arrival arrival;
    arrival.request = {1};
    arrival.instance = {1};
    arrival.arrival = at_ + 1ms;
    send(arrival);
    for (const sched::Action& action : actions_) {
      if (const auto* launch = std::get_if<sched::StartLaunch>(&action)) {
        return launch->launch;
      }
    }
    ADD_FAILURE() << "nothing was launched";
    return {};
  }
  using Lanes = std::vector<std::uint16_t>;

 private:
  sched::Scheduler scheduler_{device_of(2), std::make_unique<Wanting>(), {}};
  sched::Actions actions_;

 protected:
  TimePoint at_{};
};

TEST_F(OneLaneTest, OneIsOnItsWayAtATime) {
  ready(0, {0, 2});
  EXPECT_EQ(wanted(), Lanes{0});
  ready(1, {0, 2});
  ready(2, {0, 2});
  EXPECT_TRUE(wanted().empty()) << "one is on its way";
  send(sched::HomeFailed{{1}, 1, LaneIndex{0}, {0, 1}, true});
  EXPECT_EQ(wanted(), Lanes{1});
  ready(1, {0, 1});
  EXPECT_EQ(wanted(), Lanes{2});
  ready(2, {0, 1});
  EXPECT_TRUE(wanted().empty()) << "all that are possible are there";
}

TEST_F(OneLaneTest, AFreeOneGoesFirstAndThatOfAnotherIsWaitedFor) {
  ready(0, {0, 2});
  EXPECT_EQ(wanted(), Lanes{0});
  send(sched::HomeFailed{{1}, 1, LaneIndex{0}, {0, 1}, false});
  const LaunchId launch = this->launch();  // in lane 0, whose home may be asked for again after a pause
  wanted();
  at_ += 1s;
  ready(1, {0, 2});
  EXPECT_EQ(wanted(), Lanes{1}) << "lane 0 is busy";
  sched::LaunchEnded ended;
  ended.launch = launch;
  ended.started = ended.ended = at_;
  send(ended);
  EXPECT_TRUE(wanted().empty()) << "lane 0 is free, but that of lane 1 is on its way";
  ready(1, {0, 1});
  EXPECT_EQ(wanted(), Lanes{0});
}

TEST(Homes, BeforeAnybodyWantsThemThosePoliciesMayUseAreMadeToHalfOfWhatThereMayBe) {
  const auto made = [](const char* policy, std::size_t most) {
    World::Options options = lazily(most);
    options.policy = policy;
    World w(device_of(4), options);
    w.add_model(one_bucket("a", 2), Truth{.fixed = 10ms, .per_row = 1us});
    w.add_model(one_bucket("b", 2), Truth{.fixed = 10ms, .per_row = 1us});
    w.run_until(1s);
    EXPECT_EQ(w.drops(), 0U);
    return w.homes();
  };
  constexpr std::size_t kSlices = 9;  // of one atom 4, of two and of three 2, of all 1
  EXPECT_EQ(made("tessera", 1024), 2 * 2 * kSlices);
  EXPECT_EQ(made("tessera", 20), 10U);
  EXPECT_EQ(made("temporal", 1024), 2U * 2U) << "it has a use for the whole device alone";
}

TEST(Homes, InAdvanceModelsShareTheLargeSlicesFirst) {
  World w(device_of(4), lazily(20));
  const InstanceId a = w.add_model(one_bucket("a"), Truth{.fixed = 10ms, .per_row = 1us});
  const InstanceId b = w.add_model(one_bucket("b"), Truth{.fixed = 10ms, .per_row = 1us});
  w.run_until(1s);
  EXPECT_EQ(w.homes(), 10U);
  for (const InstanceId m : {a, b}) {
    for (const Slice slice : {Slice{0, 4}, Slice{0, 3}, Slice{0, 2}, Slice{2, 2}}) {
      EXPECT_TRUE(w.homed(m, slice, 1)) << m.value << ": " << slice.first << "+" << slice.count;
    }
    EXPECT_FALSE(w.homed(m, {0, 1}, 1));
  }
}

TEST(Homes, InAdvanceComeThoseThatCanBeInTimeAndTheFirstLanesFirst) {
  World w(device_of(4), lazily(2 * (3 * 4 + 2 * 20)));  // the whole device in three lanes, and 20 more in two
  sched::ModelParams params = model("m", 8);
  params.lanes = 3;
  params.slo = 9ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 4ms});  // of 8 rows 8 ms on four processors
  w.run_until(1s);
  for (std::uint16_t lane = 0; lane < 3; ++lane) {
    SCOPED_TRACE(lane);
    const auto homed = [&](Slice slice, std::int32_t rows) { return w.homed(m, slice, rows, LaneIndex{lane}); };
    EXPECT_TRUE(homed({0, 4}, 8)) << "of the whole device all are wanted";
    EXPECT_EQ(homed({2, 2}, 4), lane < 2);
    EXPECT_FALSE(homed({2, 2}, 8)) << "it takes 16 ms";
    EXPECT_EQ(homed({3, 1}, 2), lane < 2);
    EXPECT_FALSE(homed({3, 1}, 4)) << "it takes 16 ms";
  }
}

TEST(Homes, BesideWorkThoseNobodyWantsComeSeldom) {
  World w(device_of(4), lazily());
  const InstanceId m = w.add_model(one_bucket("m", 8), Truth{.fixed = 200ms, .per_row = 1us});
  w.run_until(1500us);
  w.request(m);
  w.run_until(10ms);
  const std::size_t at_first = w.homings().size();
  for (Duration at = 10ms; at <= 110ms; at += 1ms) {
    w.run_until(at);
    w.cancel(w.request(m));
  }
  const std::size_t beside = w.homings().size() - at_first;
  EXPECT_GE(beside, 4U);
  EXPECT_LE(beside, 6U) << "one in 20 ms";
  w.run_to_rest();
}

TEST(Homes, ManyModelsOnFewHomesLoseNothing) {
  // 36 are in the whole device: of 6 models, 3 buckets and 2 lanes.
  World::Options options = lazily(46);
  options.noise = 0.1;
  World w(device_of(8), options);
  std::vector<InstanceId> models;
  for (int i = 0; i < 6; ++i) {
    auto params = model("m" + std::to_string(i), 4);
    params.slo = 100ms;
    models.push_back(w.add_model(params, Truth{.fixed = 1ms, .per_row = 2ms}));
  }
  // Two that are busy at a time, so that what the others had goes.
  for (int i = 0; i < 6; ++i) {
    const InstanceId m = models[static_cast<std::size_t>(i)];
    w.later(at(3s * (i / 2)), [&w, m, i] { w.poisson(m, 150, at(3s * (i / 2) + 2s), 7 + static_cast<unsigned>(i)); });
  }
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GT(w.drops(), 0U);
  for (const InstanceId m : models) {
    EXPECT_GT(w.score(m, at(0s), at(100s)).attainment(), 0.95);
  }
}

}  // namespace
}  // namespace tessera::testing
