// What policy dstack adds to the rules that hold for all: knees, a plan for a session, and what is done beside it.
#include <gtest/gtest.h>

#include "sched/ladder_sizes.h"
#include "sched/session_plan.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

struct Jobs {
  sched::Occupancy device{device_of(4), 1};
  sched::LadderSizes sizes{device};
  std::vector<sched::SessionPlan::Job> jobs;
  sched::SessionPlan plan;

  void add(std::size_t tenant, Duration release, Duration deadline, Duration run, std::uint16_t size) {
    jobs.push_back({tenant, 0.0, at(release), at(deadline), run, sizes.slices(size)});
  }
  const std::vector<sched::PlannedRun>& made(Duration length) {
    plan.make(device, jobs, at(0ms), at(length));
    return plan.runs();
  }
};

TEST(SessionPlan, RunsLieBesideAndBehindEachOther) {
  Jobs jobs;
  jobs.add(0, 0ms, 256ms, 100ms, 2);
  jobs.add(1, 0ms, 256ms, 100ms, 2);
  jobs.add(2, 0ms, 256ms, 150ms, 4);
  const auto& runs = jobs.made(256ms);
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].start, at(0ms));
  EXPECT_EQ(runs[1].start, at(0ms));
  EXPECT_NE(runs[0].slice, runs[1].slice);
  EXPECT_EQ(runs[2].tenant, 2U);
  EXPECT_EQ(runs[2].start, at(100ms));
  EXPECT_EQ(runs[2].latest, at(106ms));
}

TEST(SessionPlan, WhatIsDueFirstIsPlacedFirstAndGapsAreUsed) {
  Jobs jobs;
  jobs.add(0, 0ms, 256ms, 40ms, 4);  // the last to be placed: in the gap
  jobs.add(1, 0ms, 60ms, 50ms, 4);
  jobs.add(1, 100ms, 160ms, 50ms, 4);
  const auto& runs = jobs.made(256ms);
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].tenant, 1U);
  EXPECT_EQ(runs[1].tenant, 0U);
  EXPECT_EQ(runs[1].start, at(50ms));
  EXPECT_EQ(runs[2].start, at(100ms));
}

TEST(SessionPlan, WhatDoesNotFitIsLeftOut) {
  Jobs jobs;
  jobs.add(0, 0ms, 100ms, 60ms, 4);
  jobs.add(1, 0ms, 100ms, 60ms, 4);
  jobs.add(2, 0ms, 50ms, 60ms, 4);
  EXPECT_EQ(jobs.made(256ms).size(), 1U);
}

TEST(Dstack, AModelRunsAtItsKnee) {
  // Efficacy is largest where the part that spreads takes as long as the one that does not: on 4 atoms, then on 8.
  for (const auto& [spread, atoms] : std::map<Duration, int>{{8ms, 4}, {16ms, 8}, {1ms, 1}, {100ms, 16}}) {
    World w(device_of(16), "dstack");
    auto params = model("m", 1);
    params.slo = 100ms;
    const InstanceId m = w.add_model(params, Truth{.fixed = 2ms, .per_row = spread});
    const RequestId r = w.request(m);
    EXPECT_EQ(w.fate(r).slice.count, atoms) << spread.count();
    w.run_to_rest();
    w.expect_all_ended();
  }
}

TEST(Dstack, AKneeThatIsTooSlowForTheObjectiveIsNone) {
  World w(device_of(16), "dstack");
  auto params = model("m", 1);
  params.slo = 6ms;  // on four atoms 4 ms: more than half of it
  const InstanceId m = w.add_model(params, Truth{.fixed = 2ms, .per_row = 8ms});
  EXPECT_EQ(w.fate(w.request(m)).slice.count, 8);
  w.run_to_rest();
}

TEST(Dstack, WhatIsNotPlannedEndsBeforeWhatIs) {
  World w(device_of(2), "dstack");
  auto tight = model("tight", 1);
  tight.slo = 40ms;
  auto spare = model("spare", 1);
  spare.lanes = 4;
  const InstanceId t = w.add_model(tight, Truth{.fixed = 10ms, .per_row = 10ms});
  const InstanceId s = w.add_model(spare, Truth{.fixed = 30ms, .per_row = 0ms});
  for (int i = 0; i < 2000; ++i) {
    w.later(at(std::chrono::milliseconds(i)), [&w, s] { w.request(s); });
    if (i % 25 == 0) {
      w.later(at(std::chrono::milliseconds(i)), [&w, t] { w.request(t); });
    }
  }
  w.run_until(at(2s));
  EXPECT_GE(w.score(t, at(100ms), at(1900ms)).attainment(), 0.99);
  EXPECT_GT(w.score(s, at(0ms), at(1s)).met, 20U) << "what is left is used";
}

TEST(Dstack, WhatIsLeftGoesToWhoWasServedLeast) {
  World w(device_of(2), "dstack");
  const InstanceId quick = w.add_model(model("quick", 1), Truth{.per_row = 3ms});
  const InstanceId slow = w.add_model(model("slow", 1), Truth{.per_row = 12ms});
  for (int i = 0; i < 1000; ++i) {
    w.request(quick);
    w.request(slow);
  }
  w.run_until(at(1s));
  std::map<InstanceId, double> served;
  for (const auto& launch : w.launches()) {
    served[launch.instance] += static_cast<double>(launch.predicted.count());
  }
  EXPECT_NEAR(served[quick] / served[slow], 1.0, 0.05);
}

TEST(Dstack, ARequestThatItsKneeCannotAnswerInTimeIsTurnedAwayAndBlocksNobody) {
  World w(device_of(1), "dstack");
  auto params = model("m", 1);
  params.slo = 50ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  for (int i = 0; i < 10; ++i) {
    w.request(m);
    w.run_until(w.now() + 10ms);
  }
  std::vector<RequestId> burst;
  for (int i = 0; i < 8; ++i) {
    burst.push_back(w.request(m));
  }
  w.run_to_rest();
  w.expect_all_ended();
  int answered = 0;
  for (const RequestId r : burst) {
    answered += w.fate(r).ended ? 1 : 0;
    EXPECT_TRUE(!w.fate(r).ended || *w.fate(r).ended <= w.fate(r).arrival + 50ms);
  }
  EXPECT_EQ(answered, 5);
}

TEST(Dstack, ModelsComeAndGo) {
  World w(device_of(4), "dstack");
  auto params = model("a");
  params.slo = 20ms;
  const InstanceId a = w.add_model(params, Truth{});
  w.poisson(a, 500, at(500ms), 1);
  w.run_until(at(100ms));
  const InstanceId b = w.add_model(params, Truth{});
  w.poisson(b, 500, at(500ms), 2);
  w.run_until(at(500ms));
  w.send(sched::ModelDown{a});
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_EQ(w.drained(), std::set<InstanceId>{a});
  EXPECT_GE(w.score(b, at(100ms), at(500ms)).attainment(), 0.97);
}

}  // namespace
}  // namespace tessera::testing
