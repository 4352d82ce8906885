// Launches that do not end, under every policy: what is lost by them, what goes on, and that all comes back.
#include <gtest/gtest.h>

#include "tests/support/every_policy.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

using sched::RejectReason;

class StuckUnderEveryPolicy : public ::testing::TestWithParam<std::string> {
 protected:
  static World::Options options(std::uint16_t committed_per_atom = 0) {
    World::Options options = World::with_policy(GetParam());
    options.limits.overdue = sched::kSteadyRule;
    options.limits.committed_per_atom = committed_per_atom;
    return options;
  }
  // Its runs end an hour after they begin, from now on.
  static void hang(World& w, InstanceId id) { w.truth(id).fixed = 1h; }
};
INSTANTIATE_TEST_SUITE_P(Sched, StuckUnderEveryPolicy, ::testing::ValuesIn(every_policy()), policy_as_name);

TEST_P(StuckUnderEveryPolicy, TheModelIsOutOfServiceAndItsAtomsAreGoneUntilItEndsAfterAll) {
  World w(device_of(4), options());
  const InstanceId stuck = w.add_model(model("stuck", 1), Truth{});
  const InstanceId other = w.add_model(model("other", 1), Truth{});
  hang(w, stuck);
  std::vector<RequestId> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(w.request(stuck));
  }
  w.run_until(at(2s) - Duration{1});
  EXPECT_TRUE(w.stuck().empty());
  EXPECT_EQ(w.scheduler().atoms_lost(), 0);
  const std::size_t hanging = w.launches().size();
  w.run_until(at(30s));
  ASSERT_EQ(w.stuck().size(), hanging);
  const auto& [when, first] = w.stuck().front();
  EXPECT_GE(when, at(2s));
  EXPECT_EQ(first.ran, when - at(0s));
  EXPECT_TRUE(first.behind.empty());
  EXPECT_GT(w.scheduler().atoms_lost(), 0);
  requests.push_back(w.request(stuck));
  for (const RequestId id : requests) {
    EXPECT_TRUE(w.fate(id).launched || w.fate(id).reason == RejectReason::kStuck);
  }
  EXPECT_EQ(w.fate(requests.back()).reason, RejectReason::kStuck);
  for (int i = 0; i < 10; ++i) {
    const RequestId id = w.request(other);
    EXPECT_EQ(w.fate(id).rejected.has_value(), w.scheduler().atoms_lost() == 4);
  }
  w.run_until(at(60s));
  for (std::size_t i = hanging; i < w.launches().size(); ++i) {
    EXPECT_EQ(w.launches()[i].instance, other);
    for (std::size_t h = 0; h < hanging; ++h) {
      EXPECT_FALSE(w.launches()[i].slice.overlaps(w.launches()[h].slice));
    }
  }
  w.run_to_rest(at(4000s));
  EXPECT_EQ(w.stuck_ended().size(), hanging);
  EXPECT_EQ(w.scheduler().atoms_lost(), 0);
  w.truth(stuck).fixed = 0ms;
  for (const InstanceId id : {stuck, other}) {
    const RequestId again = w.request(id);
    w.run_until(w.now() + 10s);
    EXPECT_TRUE(w.fate(again).ended);
  }
  w.expect_all_ended();
}

TEST_P(StuckUnderEveryPolicy, NothingIsLearnedFromItsEnd) {
  World w(device_of(1), options());
  const InstanceId m = w.add_model(model("m", 1), Truth{});
  w.request(m);
  w.run_to_rest(at(1s));
  hang(w, m);
  w.request(m);
  const Duration before = w.launches().back().predicted;
  w.run_to_rest(at(4000s));
  ASSERT_EQ(w.stuck_ended().size(), 1U);
  w.truth(m).fixed = 0ms;
  w.request(m);
  ASSERT_EQ(w.launches().size(), 3U);
  EXPECT_EQ(w.launches().back().predicted, before);
}

TEST_P(StuckUnderEveryPolicy, WithoutAPredictionThirtySecondsMayPass) {
  World w(device_of(1), options());
  const InstanceId m = w.add_model(model("m", 1), Truth{}, false);
  hang(w, m);
  w.request(m);
  w.run_until(at(30s) - Duration{1});
  EXPECT_TRUE(w.stuck().empty());
  w.run_until(at(60s));
  EXPECT_EQ(w.stuck().size(), 1U);
}

TEST_P(StuckUnderEveryPolicy, WhereNothingIsSaidToBeOverdueNothingIs) {
  World::Options never = options();
  never.limits.overdue.reset();
  World w(device_of(1), never);
  const InstanceId m = w.add_model(model("m", 1), Truth{});
  hang(w, m);
  w.request(m);
  w.run_to_rest(at(4000s));
  EXPECT_TRUE(w.stuck().empty());
  w.expect_all_ended();
}

TEST_P(StuckUnderEveryPolicy, WhatTheLoaderBorrowsIsNotWatched) {
  World w(device_of(4), options());
  w.add_model(model("m", 1), Truth{});
  w.wanted_loader_slice = Slice{3, 1};
  w.send(sched::LoaderWants{Slice{3, 1}, 3s});
  w.run_until(at(600s));
  EXPECT_EQ(w.loader_grants(), 1);
  EXPECT_TRUE(w.stuck().empty());
  w.loader_done();
}

TEST_P(StuckUnderEveryPolicy, WhatTheLoaderWaitsForIsForgottenAndCanBeAskedForAgain) {
  World w(device_of(1), options());
  auto params = model("m", 1);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{});
  hang(w, m);
  w.request(m);
  w.send(sched::LoaderWants{Slice{0, 1}, 1ms});
  w.send(sched::LaneWanted{m, LaneIndex{0}});
  w.run_until(at(10s));
  ASSERT_EQ(w.stuck().size(), 1U);
  w.run_to_rest(at(4000s));
  EXPECT_EQ(w.loader_grants(), 0);
  EXPECT_EQ(w.lane_grants(), 0);
  w.wanted_loader_slice = Slice{0, 1};
  w.send(sched::LoaderWants{Slice{0, 1}, 1ms});
  w.send(sched::LaneWanted{m, LaneIndex{0}});
  w.run_until(w.now() + 10s);
  EXPECT_EQ(w.loader_grants(), 1);
  EXPECT_EQ(w.lane_grants(), 1);
  w.loader_done();
  w.send(sched::LaneDone{m, LaneIndex{0}});
  w.truth(m).fixed = 0ms;
  const RequestId again = w.request(m);
  w.run_until(w.now() + 10s);
  EXPECT_TRUE(w.fate(again).ended);
}

TEST_P(StuckUnderEveryPolicy, RunsThatTakeTheirTimeAreNoFault) {
  World w(device_of(2), options(1));
  const InstanceId m = w.add_model(model("m"), Truth{.per_row = 1s});
  const InstanceId other = w.add_model(model("other"), Truth{});
  w.poisson(m, 1, at(100s), 1);
  w.poisson(other, 200, at(100s), 2);
  w.run_to_rest(at(4000s));
  EXPECT_TRUE(w.stuck().empty());
  w.expect_all_ended();
}

TEST(StuckLaunch, WhatIsCommittedBehindItIsLostWithItAndRunsOnceItHasEnded) {
  World::Options options = World::with_policy("temporal");
  options.limits.overdue = sched::kSteadyRule;
  options.limits.committed_per_atom = 1;
  World w(device_of(2), options);
  const InstanceId stuck = w.add_model(model("stuck", 1), Truth{});
  const InstanceId other = w.add_model(model("other", 1), Truth{});
  w.truth(stuck).fixed = 1h;
  w.request(stuck);
  w.run_until(at(5ms));
  const RequestId behind = w.request(other);
  const RequestId waits = w.request(other);
  ASSERT_EQ(w.launches().size(), 2U);
  w.run_until(at(10s));
  ASSERT_EQ(w.stuck().size(), 1U);
  EXPECT_EQ(w.stuck()[0].second.launch, w.launches()[0].launch);
  EXPECT_EQ(w.stuck()[0].second.behind, std::vector<LaunchId>{w.launches()[1].launch});
  EXPECT_EQ(w.fate(waits).reason, RejectReason::kStuck);  // no atom is left
  w.run_to_rest(at(4000s));
  EXPECT_TRUE(w.fate(behind).ended);
  EXPECT_EQ(w.scheduler().atoms_lost(), 0);
  const RequestId again = w.request(other);
  w.run_until(w.now() + 10s);
  EXPECT_TRUE(w.fate(again).ended);
}

TEST(StuckLaunch, APredictionOfAnotherShapeIsNone) {
  sched::SchedulerLimits limits;
  limits.overdue = sched::kSteadyRule;
  for (const bool vary : {false, true}) {
    sched::Scheduler scheduler(device_of(1), policy("temporal"), limits);
    sched::Actions actions;
    sched::ModelUp up;
    up.instance = InstanceId{1};
    up.params = std::make_shared<const sched::ModelParams>(model("m", 1));
    up.profile = sched::Profile({{1, 1, 1ms}});
    up.shapes_vary = vary;
    scheduler.on_event(up, at(0ms), actions);
    scheduler.on_event(sched::SliceReady{InstanceId{1}, {0, 1}, {}, {}}, at(0ms), actions);
    sched::Arrival arrival;
    arrival.request = RequestId{1};
    arrival.instance = InstanceId{1};
    scheduler.on_event(arrival, at(0ms), actions);
    actions.clear();
    for (Duration look = 1600ms; look <= 3s; look += 100ms) {
      scheduler.on_event(sched::TimerFired{}, at(look), actions);
    }
    EXPECT_EQ(scheduler.atoms_lost(), vary ? 0 : 1);
  }
}

}  // namespace
}  // namespace tessera::testing
