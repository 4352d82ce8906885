// Policy streams: whatever has a lane begins at once.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

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

}  // namespace
}  // namespace tessera::testing
