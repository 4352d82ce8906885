// What of an objective a target may plan to use.
#include <gtest/gtest.h>

#include "sched/target.h"

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;

class HeadroomTest : public ::testing::Test {
 protected:
  HeadroomTest() : device_(shape(), 1), instance_({InstanceId{1}, params(), {}}, device_) {}

  static DeviceShape shape() {
    DeviceShape out;
    out.processors.assign(4, 1);
    out.ladder = aligned_ladder(4);
    out.loader = loader_slice(4);
    return out;
  }
  static std::shared_ptr<const ModelParams> params() {
    auto out = std::make_shared<ModelParams>();
    out->max_batch_size = 8;
    out->buckets = {1, 2, 4, 8};
    out->lanes = 2;
    return out;
  }
  Headroom headroom(Duration margin, double rows_per_second = 1) const {
    return {instance_, margin, rows_per_second, 4};
  }

  Occupancy device_;
  Instance instance_;
};

TEST_F(HeadroomTest, ASingleRowIsLeftMoreThanABatch) {
  const Headroom free = headroom(0ms);
  EXPECT_TRUE(free.leaves(59ms, 1, 100ms));
  EXPECT_FALSE(free.leaves(61ms, 1, 100ms));
  EXPECT_TRUE(free.leaves(84ms, 2, 100ms));
  EXPECT_FALSE(free.leaves(86ms, 2, 100ms));
}

TEST_F(HeadroomTest, WhatRunsMayTakeLongerComesOnTop) {
  const Headroom wary = headroom(10ms);
  EXPECT_TRUE(wary.leaves(47ms, 1, 100ms));
  EXPECT_FALSE(wary.leaves(49ms, 1, 100ms));
}

TEST_F(HeadroomTest, LanesAreNotPlannedFull) {
  // Two lanes, and 100 rows a second: 20 ms of both for each, of which two fifths are planned with.
  const Headroom busy = headroom(0ms, 100);
  EXPECT_TRUE(busy.leaves(7900us, 1, 1s));
  EXPECT_FALSE(busy.leaves(8100us, 1, 1s));
  EXPECT_TRUE(busy.leaves(15ms, 2, 1s));
}

}  // namespace
}  // namespace tessera::sched
