#include "device/launch_check.h"

#include <gtest/gtest.h>

namespace tessera::device {
namespace {

TEST(LaunchCheckTest, ALaunchIsWholeAndItsSliceIsOnTheLadder) {
  const DeviceShape shape{.name = "there", .processors = {1, 1, 1, 1}, .ladder = aligned_ladder(4), .loader = {3, 1}};
  const Plan plan;
  Batch batch;
  const Launch good{.id = {1}, .slice = {2, 2}, .plan = &plan, .batch = &batch};
  EXPECT_TRUE(check_launch(shape, good).ok());
  Launch bad = good;
  bad.id = {};
  EXPECT_EQ(check_launch(shape, bad).error().code(), ErrorCode::kInvalidArgument);
  bad = good;
  bad.plan = nullptr;
  EXPECT_FALSE(check_launch(shape, bad).ok());
  bad = good;
  bad.batch = nullptr;
  EXPECT_FALSE(check_launch(shape, bad).ok());
  bad = good;
  bad.slice = {1, 2};
  EXPECT_EQ(check_launch(shape, bad).error().message(), "device there has no slice of 2 atoms at 1");
}

}  // namespace
}  // namespace tessera::device
