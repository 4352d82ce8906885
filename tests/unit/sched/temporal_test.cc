// Policy temporal: one batch at a time on the whole device, by deadlines.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

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

}  // namespace
}  // namespace tessera::testing
