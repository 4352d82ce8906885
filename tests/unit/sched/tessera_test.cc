// Policy tessera: the slice that a batch gets, the guard, shares, and what it learns.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

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
