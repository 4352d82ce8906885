// When a batch leaves under the policy `tessera`, on a virtual clock: how long it grows, what cuts that short, and what
// is turned away.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

// Two atoms, one of them busy for long, and a guard that keeps the other one for a quick model: what comes has to be
// due before it may start.
class HeldBack : public ::testing::Test {
 protected:
  // `m` takes 40 ms and 1 ms a row on one atom, has an objective of 200 ms, and a rate for which it pays to wait.
  void set_up(sched::ModelParams params) {
    auto quick = model("quick", 1);
    quick.slo = 20ms;
    const InstanceId q = w_.add_model(quick, Truth{.per_row = 2ms});
    const InstanceId spare = w_.add_model(model("spare", 1), Truth{.per_row = 2s});
    params.slo = 200ms;
    m_ = w_.add_model(params, Truth{.fixed = 40ms, .per_row = 1ms});
    for (int i = 0; i < 250; ++i) {
      w_.request(m_);
      w_.run_until(w_.now() + 4ms);
    }
    w_.run_until(at(1300ms));
    w_.request(q);
    w_.run_until(at(1310ms));
    w_.request(spare);
    ASSERT_EQ(w_.scheduler().in_flight(), 1U);
  }

  std::vector<RequestId> send(int requests) {
    std::vector<RequestId> sent;
    for (int i = 0; i < requests; ++i) {
      sent.push_back(w_.request(m_));
      w_.run_until(w_.now() + 1ms);
    }
    return sent;
  }

  World w_{device_of(2), "tessera"};
  InstanceId m_;
};

TEST_F(HeldBack, ABatchGrowsUntilItsLatestStart) {
  set_up(model("m", 8));
  const TimePoint begin = w_.now();
  const auto sent = send(4);
  w_.run_until(begin + 100ms);
  EXPECT_FALSE(w_.fate(sent[0]).launched);
  const auto late = send(1);
  w_.run_until(begin + 300ms);
  ASSERT_TRUE(w_.fate(sent[0]).launched);
  EXPECT_EQ(w_.fate(sent[0]).batch, 5) << "also what came in between";
  EXPECT_EQ(w_.fate(late[0]).launched, w_.fate(sent[0]).launched);
  // Latency 48 ms in the bucket of eight; what is left is for the margin.
  EXPECT_LE(w_.fate(sent[0]).launched.value() - begin, 152ms);
  EXPECT_GE(w_.fate(sent[0]).launched.value() - begin, 130ms);
  EXPECT_LE(w_.fate(sent[0]).ended.value() - begin, 200ms);
}

TEST_F(HeldBack, ABatchThatReachedItsTargetWaitsNoLonger) {
  set_up(model("m", 8));
  const auto sent = send(8);
  EXPECT_EQ(w_.fate(sent[0]).launched, w_.fate(sent[7]).arrival);
  EXPECT_EQ(w_.fate(sent[0]).batch, 8);
}

TEST_F(HeldBack, MaxQueueDelayIsAnUpperLimitOfTheWait) {
  auto params = model("m", 8);
  params.max_queue_delay = 30ms;
  set_up(params);
  const auto sent = send(3);
  w_.run_until(w_.now() + 300ms);
  EXPECT_EQ(w_.fate(sent[0]).launched, w_.fate(sent[0]).arrival + 30ms);
  EXPECT_EQ(w_.fate(sent[0]).batch, 3);
}

TEST_F(HeldBack, PreferredSizesDoNotCutABatch) {
  auto params = model("m", 8);
  params.preferred_batch_sizes = {3};
  params.buckets = {1, 2, 3, 4, 8};
  set_up(params);
  const auto sent = send(5);
  w_.run_until(w_.now() + 300ms);
  EXPECT_EQ(w_.fate(sent[0]).batch, 5) << "three were there first, and could wait";
}

TEST(TesseraTimes, NeitherDelayNorPreferredSizeHoldsARequestBackOnAnIdleDevice) {
  World w(device_of(2), "tessera");
  auto params = model("m", 8);
  params.slo = 500ms;
  params.max_queue_delay = 100ms;
  params.preferred_batch_sizes = {4};
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  const RequestId r = w.request(m);
  EXPECT_EQ(w.fate(r).launched, at(0ms));
  w.run_to_rest();
}

TEST(TesseraTimes, WhatCannotMakeItIsTurnedAwayBeforeItsDeadline) {
  World w(device_of(1), "tessera");
  auto params = model("m", 1);
  params.slo = 100ms;
  const InstanceId m = w.add_model(params, Truth{.per_row = 10ms});
  for (int i = 0; i < 20; ++i) {
    w.request(m);
    w.run_until(w.now() + 15ms);
  }
  const TimePoint begin = w.now();
  std::vector<RequestId> sent;
  for (int i = 0; i < 14; ++i) {
    sent.push_back(w.request(m));
  }
  w.run_to_rest();
  int turned_away = 0;
  for (const RequestId id : sent) {
    const Fate& fate = w.fate(id);
    if (fate.rejected) {
      ++turned_away;
      EXPECT_EQ(fate.reason, sched::RejectReason::kDeadline);
      EXPECT_LE(*fate.rejected - begin, 91ms) << "once the run that ends last in time has begun";
    } else {
      EXPECT_LE(fate.ended.value() - begin, 100ms);
    }
  }
  EXPECT_GE(turned_away, 4);
  EXPECT_LE(turned_away, 5);
}

// Eight batches at most can run, two of each model, and every one is most efficient on a single atom of sixteen.
TEST(TesseraSlices, FewBatchesWithoutObjectivesFillTheDevice) {
  World w(device_of(16), "tessera");
  std::vector<InstanceId> models;
  for (const char* name : {"a", "b", "c", "d"}) {
    auto params = model(name, 1);
    params.lanes = 2;
    models.push_back(w.add_model(params, Truth{.fixed = 1ms, .per_row = 16ms}));
  }
  std::vector<RequestId> sent;
  for (const InstanceId m : models) {
    for (int i = 0; i < 20; ++i) {
      sent.push_back(w.request(m));
    }
  }
  const TimePoint begin = w.now();
  w.run_to_rest();
  Duration last{0};
  for (const RequestId id : sent) {
    last = std::max(last, w.fate(id).ended.value() - begin);
  }
  EXPECT_LT(last, 110ms) << "on one atom each, 80 batches of 17 ms in eight places take 170 ms";
}

// On one atom a batch of one takes 32 ms, of four 38: the four atoms answer 125 a second in batches of one, 235 in
// batches of two.
TEST(TesseraSlices, AModelLeavesEarlyOnlyInBatchesThatCouldKeepUpWithIt) {
  for (const auto& [rate, least, most] : {std::tuple(60, 1.0, 1.2), {240, 2.5, 4.0}}) {
    World w(device_of(4), "tessera");
    auto params = model("m", 4);
    params.slo = 200ms;
    params.lanes = 4;
    const InstanceId m = w.add_model(params, Truth{.fixed = 30ms, .per_row = 2ms});
    for (int i = 0; i < 3 * rate; ++i) {
      w.request(m);
      w.run_until(w.now() + Duration(1s) / rate);
    }
    w.run_to_rest();
    w.expect_all_ended();
    double requests = 0;
    double launches = 0;
    for (const sched::StartLaunch& launch : w.launches()) {
      if (w.fate(launch.requests.front()).launched >= at(1s)) {
        requests += static_cast<double>(launch.requests.size());
        launches += 1;
      }
    }
    EXPECT_GE(requests / launches, least) << rate << " a second";
    EXPECT_LE(requests / launches, most) << rate << " a second";
  }
}

TEST(TesseraSlices, TheLastFreeLaneGoesToAFasterSlice) {
  World w(device_of(8), "tessera");
  auto params = model("m", 1);
  params.slo = 100ms;
  params.lanes = 2;
  const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 16ms});
  const RequestId first = w.request(m);
  const RequestId last = w.request(m);
  EXPECT_EQ(w.fate(first).slice.count, 1) << "17 ms on one atom are cheapest";
  EXPECT_EQ(w.fate(last).slice.count, 2) << "whoever comes next would wait for a lane";
  w.run_to_rest();
}

}  // namespace
}  // namespace tessera::testing
