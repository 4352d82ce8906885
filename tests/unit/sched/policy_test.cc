// What each policy promises beyond the rules that hold for all.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

TEST(MakePolicy, NamesWhatItDoesNotKnow) {
  const auto unknown = sched::make_policy("fancy");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().message(),
            "unknown policy 'fancy'; known are: tessera, temporal, streams, fixed, gslice, dstack");
  for (const char* bad : {"temporal:x=1", "temporal:triton=2", "fixed:share.m=0", "fixed:share.m=1.5",
                          "fixed:share.=0.5", "fixed:share.m=nan", "fixed:share.a=0.6,share.b=0.6", "fixed:share.m",
                          "tessera:x=1", "streams:x=1", "gslice:window_ms=0", "gslice:window_ms=x",
                          "gslice:stand_by_ms=-1", "gslice:x=1", "dstack:x=1", "temporal:triton=1,triton=0"}) {
    EXPECT_FALSE(sched::make_policy(bad).ok()) << bad;
  }
  for (const char* good :
       {"tessera", "temporal", "temporal:triton=1", "streams", "fixed", "fixed:share.m=0.5,share.n=0.25", "gslice",
        "gslice:window_ms=500,stand_by_ms=0", "dstack"}) {
    EXPECT_TRUE(sched::make_policy(good).ok()) << good;
  }
}

TEST(MakePolicy, SharesOfMoreThanADeviceAreNamed) {
  EXPECT_EQ(sched::make_policy("fixed:share.a=0.6,share.b=0.55").error().message(),
            "policy fixed: shares add up to 1.15, more than 1: 'a' 0.6, 'b' 0.55");
  EXPECT_TRUE(sched::make_policy("fixed:share.a=0.1,share.b=0.2,share.c=0.7").ok());
}

// ---- temporal ----

TEST(Temporal, OneBatchAtATimeOnTheWholeDevice) {
  World w(device_of(4), "temporal");
  const InstanceId a = w.add_model(model("a"), Truth{.per_row = 8ms});
  const InstanceId b = w.add_model(model("b"), Truth{.per_row = 8ms});
  for (int i = 0; i < 10; ++i) {
    w.request(i % 2 == 0 ? a : b);
    EXPECT_LE(w.scheduler().in_flight(), 1U);
  }
  w.run_to_rest();
  for (const auto& launch : w.launches()) {
    EXPECT_EQ(launch.slice, (Slice{0, 4}));
  }
}

TEST(Temporal, TheEarliestDeadlineOfAllModelsIsNext) {
  World w(device_of(2), "temporal");
  auto loose = model("loose");
  loose.slo = 1s;
  auto tight = model("tight");
  tight.slo = 100ms;
  const InstanceId l = w.add_model(loose, Truth{.per_row = 10ms});
  const InstanceId t = w.add_model(tight, Truth{.per_row = 10ms});
  w.request(l);
  const RequestId second = w.request(l);
  const RequestId first = w.request(t);
  w.run_to_rest();
  EXPECT_LT(w.fate(first).launched.value(), w.fate(second).launched.value());
}

TEST(Temporal, TheBatchIsTheLargestThatMeetsItsFirstDeadline) {
  World w(device_of(1), "temporal");
  auto params = model("m", 8);
  params.slo = 55ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.request(m);  // runs alone until 10 ms
  std::vector<RequestId> waiting;
  for (int i = 0; i < 7; ++i) {
    waiting.push_back(w.request(m));
  }
  w.run_to_rest();
  EXPECT_EQ(w.fate(waiting[0]).batch, 4);  // 10 + 40 <= 55 < 10 + 80
}

TEST(Temporal, HopelessRequestsAreDroppedOnceRunsWereSeen) {
  World w(device_of(1), "temporal");
  auto params = model("m", 1);
  params.slo = 25ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  for (int i = 0; i < 10; ++i) {
    w.request(m);
    w.run_until(w.now() + 10ms);
  }
  const TimePoint start = w.now();
  w.request(m);
  w.request(m);
  const RequestId hopeless = w.request(m);
  w.run_to_rest();
  ASSERT_TRUE(w.fate(hopeless).rejected);
  EXPECT_EQ(w.fate(hopeless).reason, sched::RejectReason::kDeadline);
  EXPECT_LE(w.fate(hopeless).rejected.value() - start, 15ms + 1us) << "as soon as it is clear, not at 25 ms";
}

// A head that only a batch of four can answer in time, and eight behind it that only their own batch can.
std::pair<Fate, std::vector<Fate>> behind_an_urgent_head(const char* name, Duration slack_behind) {
  World w(device_of(1), name);
  auto params = model("m", 8);
  params.slo = 1s;
  const InstanceId m = w.add_model(params, Truth{.fixed = 30ms, .per_row = 1ms});
  for (int i = 0; i < 10; ++i) {
    w.request(m);
    w.run_until(w.now() + 40ms);
  }
  w.request(m);  // runs for 31 ms
  const auto with_timeout = [&](Duration timeout) {
    auto arrival = w.arrival(m);
    arrival.timeout = 31ms + timeout;
    return w.request(arrival);
  };
  const RequestId head = with_timeout(35ms);
  std::vector<RequestId> others;
  for (int i = 0; i < 8; ++i) {
    others.push_back(with_timeout(slack_behind));
  }
  w.run_to_rest();
  w.expect_all_ended();
  std::vector<Fate> fates;
  for (const RequestId id : others) {
    fates.push_back(w.fate(id));
  }
  return {w.fate(head), fates};
}

TEST(Temporal, TheHeadIsDroppedWhereThatSavesMoreThanItCosts) {
  const auto [head, others] = behind_an_urgent_head("temporal", 60ms);
  EXPECT_TRUE(head.rejected);
  for (const Fate& fate : others) {
    EXPECT_TRUE(fate.ended);
    EXPECT_EQ(fate.batch, 8);
  }
}

TEST(Temporal, TheHeadIsServedWhereThoseBehindItCanWait) {
  for (const char* name : {"temporal", "temporal:triton=1"}) {
    const auto [head, others] = behind_an_urgent_head(name, 90ms);
    EXPECT_TRUE(head.ended) << name;
    for (const Fate& fate : others) {
      EXPECT_TRUE(fate.ended) << name;
    }
  }
}

struct DelayCase {
  std::vector<std::int32_t> preferred;
  Duration delay;
  int requests;             // at once
  Duration expected_start;  // of the first batch
  int expected_batch;
};
class SizeOrDelay : public ::testing::TestWithParam<std::tuple<DelayCase, const char*>> {};

TEST_P(SizeOrDelay, IsExact) {
  const auto& [c, name] = GetParam();
  World w(device_of(1), name);
  auto params = model("m", 8);
  params.preferred_batch_sizes = c.preferred;
  params.max_queue_delay = c.delay;
  const InstanceId m = w.add_model(params, Truth{.per_row = 1ms});
  std::vector<RequestId> requests;
  for (int i = 0; i < c.requests; ++i) {
    requests.push_back(w.request(m));
  }
  w.run_to_rest();
  EXPECT_EQ(w.fate(requests[0]).launched.value(), at(c.expected_start));
  EXPECT_EQ(w.fate(requests[0]).batch, c.expected_batch);
  w.expect_all_ended();
}
INSTANTIATE_TEST_SUITE_P(Sched, SizeOrDelay,
                         ::testing::Combine(::testing::Values(DelayCase{{}, 5ms, 3, 5ms, 3},   // the delay passes
                                                              DelayCase{{}, 5ms, 8, 0ms, 8},   // the maximum is reached
                                                              DelayCase{{4}, 5ms, 4, 0ms, 4},  // a preferred size is
                                                              DelayCase{{4, 6}, 5ms, 3, 5ms, 3},  // none is
                                                              DelayCase{{}, 0ms, 1, 0ms, 1}),     // nothing waits
                                            ::testing::Values("temporal", "temporal:triton=1", "streams", "fixed")));

TEST(Temporal, AnotherShapeClosesTheBatchBeingFormed) {
  World w(device_of(1), "temporal");
  auto params = model("m", 8);
  params.max_queue_delay = 10ms;
  const InstanceId m = w.add_model(params, Truth{});
  const RequestId first = w.request(m);
  EXPECT_FALSE(w.fate(first).launched);
  auto other = w.arrival(m);
  other.shape = ShapeId{7};
  w.run_until(at(2ms));
  w.request(other);
  EXPECT_EQ(w.fate(first).launched, at(2ms));
  w.run_to_rest();
}

TEST(Temporal, ADelayNeverCostsADeadline) {
  World w(device_of(1), "temporal");
  auto params = model("m", 8);
  params.max_queue_delay = 1s;
  params.slo = 50ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  const RequestId r = w.request(m);
  w.run_to_rest();
  EXPECT_EQ(w.fate(r).launched.value(), at(40ms));
  EXPECT_EQ(w.fate(r).ended.value(), at(50ms));
}

TEST(Temporal, OneBatchIsCommittedBehindTheRunningOneShortlyBeforeItsEnd) {
  World::Options options = World::with_policy("temporal");
  options.limits.committed_per_atom = 1;
  options.limits.run_ahead = 200us;
  World w(device_of(2), options);
  const InstanceId m = w.add_model(model("m", 1), Truth{.per_row = 20ms});
  w.request(m);
  const RequestId next = w.request(m);
  w.request(m);
  w.run_to_rest();
  EXPECT_EQ(w.fate(next).launched.value(), at(10ms - 200us));
  EXPECT_EQ(w.fate(next).ended.value(), at(20ms));
  w.expect_all_ended();
}

// ---- streams ----

TEST(Streams, EveryModelsBatchesBeginAtOnceOnTheWholeDeviceOneForEachLane) {
  World w(device_of(4), "streams");
  const InstanceId a = w.add_model(model("a", 1), Truth{.per_row = 8ms});
  const InstanceId b = w.add_model(model("b", 1), Truth{.per_row = 8ms});
  for (int i = 0; i < 6; ++i) {
    w.request(i % 2 == 0 ? a : b);
  }
  ASSERT_EQ(model("a").lanes, 2);
  EXPECT_EQ(w.scheduler().in_flight(), 4U) << "two lanes of each";
  w.run_to_rest();
  for (const auto& launch : w.launches()) {
    EXPECT_EQ(launch.slice, (Slice{0, 4}));
    EXPECT_TRUE(launch.after_lane_only);
  }
  EXPECT_EQ(w.now(), at(4ms)) << "the third of each follows at the end of its lane's first";
  w.expect_all_ended();
}

TEST(Streams, ABatchGrowsWhileNoLaneIsFreeOrItsDelayLasts) {
  World w(device_of(1), "streams");
  auto params = model("m", 8);
  params.lanes = 1;
  params.max_queue_delay = 5ms;
  const InstanceId m = w.add_model(params, Truth{.fixed = 20ms, .per_row = 0ms});
  const RequestId first = w.request(m);
  EXPECT_EQ(w.scheduler().in_flight(), 0U);
  w.run_until(5ms);
  EXPECT_EQ(w.fate(first).launched.value(), at(5ms));
  std::vector<RequestId> behind;
  for (int i = 0; i < 3; ++i) {
    behind.push_back(w.request(m));
  }
  w.run_to_rest();
  EXPECT_EQ(w.fate(behind[0]).batch, 3);
  EXPECT_EQ(w.fate(behind[0]).launched.value(), at(25ms));
}

TEST(Streams, OnlyWhatNoRunWasEverFastEnoughForIsTurnedAway) {
  World w(device_of(1), "streams");
  auto params = model("m", 1);
  params.slo = 25ms;
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  for (int i = 0; i < 10; ++i) {
    w.request(m);
    w.run_until(w.now() + 10ms);
  }
  w.request(m);
  w.request(m);
  const RequestId hopeless = w.request(m);
  w.run_to_rest();
  EXPECT_EQ(w.fate(hopeless).reason, sched::RejectReason::kDeadline);
  EXPECT_TRUE(w.fate(hopeless).rejected.has_value());
  w.expect_all_ended();
}

// ---- fixed ----

TEST(Fixed, EveryModelStaysInItsShare) {
  World w(device_of(8), "fixed:share.a=0.5");
  const InstanceId a = w.add_model(model("a"), Truth{});
  const InstanceId b = w.add_model(model("b"), Truth{});
  const InstanceId c = w.add_model(model("c"), Truth{});
  for (int i = 0; i < 10; ++i) {
    w.request(a);
    w.request(b);
    w.request(c);
  }
  w.run_to_rest();
  std::map<InstanceId, Slice> slices;
  for (const auto& launch : w.launches()) {
    slices.emplace(launch.instance, launch.slice);
    EXPECT_EQ(launch.slice, slices[launch.instance]);
  }
  EXPECT_EQ(slices[a].count, 4);
  EXPECT_EQ(slices[b].count, 2);
  EXPECT_EQ(slices[c].count, 2);
  EXPECT_FALSE(slices[a].overlaps(slices[b]) || slices[b].overlaps(slices[c]) || slices[a].overlaps(slices[c]));
}

TEST(Fixed, MoreModelsThanAtomsTakeTurns) {
  World w(device_of(2), "fixed");
  std::vector<InstanceId> models;
  for (int i = 0; i < 4; ++i) {
    models.push_back(w.add_model(model("m" + std::to_string(i)), Truth{}));
  }
  std::map<Slice, int> used;
  for (const InstanceId m : models) {
    w.request(m);
  }
  w.run_to_rest();
  for (const auto& launch : w.launches()) {
    ++used[launch.slice];
  }
  EXPECT_EQ(used.size(), 2U);
  w.expect_all_ended();
}

// ---- tessera ----

TEST(TesseraPolicy, ALoneBatchLeavesRoomForOthers) {
  World w(device_of(16), "tessera");
  auto params = model("m");
  params.slo = 100ms;
  const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 20ms});
  const RequestId r = w.request(m);
  EXPECT_EQ(w.fate(r).slice.count, 1) << "21 ms in one atom meets 100 ms most cheaply";
  w.run_to_rest();
}

TEST(TesseraPolicy, ATightObjectiveTakesALargerSliceUpToTheWholeDevice) {
  for (const auto& [slo, atoms] : std::map<Duration, int>{{100ms, 1}, {20ms, 2}, {12ms, 4}, {8ms, 8}, {2500us, 16}}) {
    World w(device_of(16), "tessera");
    auto params = model("m");
    params.slo = slo;
    const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 20ms});
    const RequestId r = w.request(m);
    ASSERT_TRUE(w.fate(r).launched);
    EXPECT_EQ(w.fate(r).slice.count, atoms) << slo.count();
    w.run_to_rest();
  }
}

TEST(TesseraPolicy, LessSlackTakesALargerSlice) {
  World w(device_of(4), "tessera");
  auto params = model("m", 1);
  params.slo = 100ms;
  params.lanes = 8;
  const InstanceId m = w.add_model(params, Truth{.fixed = 2ms, .per_row = 38ms});
  auto late = w.arrival(m);
  w.run_until(at(60ms));
  late.arrival = at(0ms);
  const RequestId r = w.request(late);  // 40 ms are left: one atom (40 ms) is too slow, two (21 ms) do
  EXPECT_EQ(w.fate(r).slice.count, 2);
  w.run_to_rest();
  EXPECT_LE(w.fate(r).ended.value(), at(100ms));
}

TEST(TesseraPolicy, TwoBatchesOfOneModelRunAtOnceInTwoSlices) {
  World w(device_of(2), "tessera");
  auto params = model("m");
  params.slo = 100ms;
  const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 10ms});
  const RequestId a = w.request(m);
  const RequestId b = w.request(m);
  EXPECT_TRUE(w.fate(a).launched);
  EXPECT_TRUE(w.fate(b).launched);
  EXPECT_FALSE(w.fate(a).slice.overlaps(w.fate(b).slice));
  w.run_to_rest();
}

TEST(TesseraPolicy, ThePostersOwnAtomBreaksATie) {
  for (const std::uint16_t atom : {0, 1, 2, 3}) {
    World w(device_of(4), "tessera");
    auto params = model("m");
    params.slo = 100ms;
    const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 1ms});
    auto arrival = w.arrival(m);
    arrival.poster_atom = atom;
    EXPECT_EQ(w.fate(w.request(arrival)).slice, (Slice{atom, 1}));
    w.run_to_rest();
  }
}

TEST(TesseraPolicy, TheGuardKeepsALongRunFromTakingTheLastAtomEarly) {
  World w(device_of(2), "tessera");
  auto quick = model("quick");
  quick.slo = 20ms;
  auto spare = model("spare");
  const InstanceId q = w.add_model(quick, Truth{.per_row = 2ms});
  const InstanceId s = w.add_model(spare, Truth{.per_row = 100ms});
  w.request(q);
  w.run_until(at(10ms));
  const RequestId first = w.request(s);
  const RequestId second = w.request(s);
  EXPECT_TRUE(w.fate(first).launched);
  EXPECT_FALSE(w.fate(second).launched) << "a request of the quick model could no longer be in time";
  EXPECT_EQ(w.fate(first).slice.count, 1);
  const RequestId r = w.request(q);
  w.run_to_rest();
  ASSERT_TRUE(w.fate(r).ended);
  EXPECT_LE(w.fate(r).ended.value() - w.fate(r).arrival, 20ms);
  w.expect_all_ended();
}

TEST(TesseraPolicy, ALoanThatTheGuardRefusesIsGrantedAfterASecond) {
  World w(device_of(2), "tessera");
  auto params = model("m", 1);
  params.slo = 12ms;  // 10 ms on both atoms, 20 on one: it needs the atom that the loader wants
  const InstanceId m = w.add_model(params, Truth{.per_row = 20ms});
  w.poisson(m, 20, at(1500ms), 5);
  w.run_until(at(100ms));
  w.wanted_loader_slice = Slice{1, 1};
  w.send(sched::LoaderWants{{1, 1}, 3s});
  w.run_until(at(100ms + 1s) - Duration{1});
  EXPECT_EQ(w.loader_grants(), 0);
  w.run_until(at(100ms + 1s + 10ms));
  EXPECT_EQ(w.loader_grants(), 1);
  w.run_until(at(2s));
  w.loader_done();
  w.run_to_rest();
  w.expect_all_ended();
}

TEST(TesseraPolicy, ModelsWithoutAnSloShareByWeightWhatIsLeft) {
  World w(device_of(2), "tessera");
  auto heavy = model("heavy", 1);
  heavy.weight = 3.0;
  const InstanceId h = w.add_model(heavy, Truth{.per_row = 10ms});
  const InstanceId l = w.add_model(model("light", 1), Truth{.per_row = 10ms});
  for (int i = 0; i < 600; ++i) {
    w.request(h);
    w.request(l);
  }
  w.run_until(at(2s));
  std::map<InstanceId, int> runs;
  for (const auto& launch : w.launches()) {
    ++runs[launch.instance];
  }
  EXPECT_NEAR(static_cast<double>(runs[h]) / runs[l], 3.0, 0.4);
}

TEST(TesseraPolicy, AReservedShareIsThereWhenItsOwnerComes) {
  for (const bool lend : {true, false}) {
    World w(device_of(4), "tessera");
    auto owner = model("owner", 1);
    owner.slo = 12ms;
    owner.reserved_share = 0.5;
    owner.reserved_lend = lend;
    auto hog = model("hog", 1);
    hog.lanes = 8;
    const InstanceId o = w.add_model(owner, Truth{.per_row = 10ms});
    const InstanceId h = w.add_model(hog, Truth{.per_row = 100ms});
    for (int i = 0; i < 40; ++i) {
      w.request(h);
    }
    w.run_until(at(150ms));
    for (int i = 0; i < 10; ++i) {
      const RequestId r = w.request(o);
      w.run_until(w.now() + 37ms);
      ASSERT_TRUE(w.fate(r).ended) << lend;
      EXPECT_LE(w.fate(r).ended.value() - w.fate(r).arrival, 12ms) << lend;
    }
  }
}

// Of two busy slices the one that is free first is committed to, and only what is in time from then on.
TEST(TesseraPolicy, WhatIsCommittedCountsFromWhenItBegins) {
  World::Options options;
  options.limits.committed_per_atom = 1;
  options.limits.run_ahead = 1s;
  World w(device_of(2), options);
  const auto on_one_atom = [&](const char* name, Duration takes, std::optional<Duration> slo) {
    auto params = model(name, 1);
    params.max_share = 0.5;
    params.slo = slo;
    return w.add_model(params, Truth{.per_row = takes});
  };
  const InstanceId lengthy = on_one_atom("lengthy", 40ms, {});
  const InstanceId brief = on_one_atom("brief", 3ms, {});
  const InstanceId bound = on_one_atom("bound", 10ms, 16ms);
  w.request(lengthy);
  w.request(brief);
  w.run_until(at(1ms));
  const RequestId r = w.request(bound);
  w.run_to_rest();
  ASSERT_TRUE(w.fate(r).ended.has_value());
  EXPECT_EQ(*w.fate(r).ended, at(13ms));
}

TEST(TesseraPolicy, AMaximumShareIsNotExceeded) {
  World w(device_of(8), "tessera");
  auto params = model("m", 1);
  params.max_share = 0.25;
  params.lanes = 8;
  const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 10ms});
  for (int i = 0; i < 20; ++i) {
    w.request(m);
  }
  EXPECT_EQ(w.launches().size(), 2U);
  w.run_to_rest();
  w.expect_all_ended();
}

TEST(TesseraPolicy, WithoutAnyProfileItServesFromTheFirstRequestAndLearns) {
  World w(device_of(16), "tessera");
  auto params = model("m");
  params.slo = 20ms;
  const InstanceId m = w.add_model(params, Truth{.fixed = 500us, .per_row = 20ms}, false);
  w.poisson(m, 200, at(3s), 11);
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GT(w.score(m, at(1s), at(3s)).attainment(), 0.99);
}

TEST(TesseraPolicy, ADriftIsFollowed) {
  World w(device_of(4), "tessera");
  auto params = model("m");
  params.slo = 100ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  w.poisson(m, 150, at(6s), 3);
  w.later(at(2s), [&] { w.truth(m).slowdown = 1.5; });
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GT(w.score(m, at(3s), at(6s)).attainment(), 0.99);
}

TEST(TesseraPolicy, APredictionThatBecameWrongIsFoundOut) {
  World w(device_of(1), "tessera");
  auto params = model("m", 1);
  params.slo = 30ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 100ms});  // hopeless ...
  w.poisson(m, 20, at(20s), 3);
  w.later(at(5s), [&] { w.truth(m).per_row = 5ms; });  // ... until it is not
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GT(w.score(m, at(15s), at(20s)).attainment(), 0.95);
}

}  // namespace
}  // namespace tessera::testing
