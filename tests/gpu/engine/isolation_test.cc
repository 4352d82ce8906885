// That what libraries queue keeps to its slice: a model's plan waits for room in a slice that is full, and nowhere
// else.
#include <chrono>

#include "base/clock.h"
#include "tests/gpu/engine/hold_fixture.h"

namespace tessera::engine {
namespace {

using EngineIsolationTest = HoldTest;

TEST_F(EngineIsolationTest, APlanOfLibraryCallsKeepsToItsSlice) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  const Slice full{0, 2};
  const Slice free{2, 2};
  const device::Plan* inside = home(*model, 4, 0, full);
  const device::Plan* outside = home(*model, 4, 1, free);
  ASSERT_NE(inside, nullptr);
  ASSERT_NE(outside, nullptr);
  const device::HomedGraph held = hold(full);
  const auto streams = device_->gpu()->make_streams(1);
  ASSERT_TRUE(streams.ok());
  ASSERT_TRUE(held.launch(streams->front().get()).ok());
  ASSERT_TRUE(fills(full));

  TestBatch first = images(4, 4, 1);
  TestBatch second = images(4, 4, 1);
  device::Launch launch;
  launch.instance = {1};
  launch.id = {1};
  launch.slice = full;
  launch.plan = inside;
  launch.batch = &first.batch;
  const TimePoint begin = now();
  ASSERT_TRUE(device_->launch(launch).ok());
  launch.id = {2};
  launch.lane = {1};
  launch.slice = free;
  launch.plan = outside;
  launch.batch = &second.batch;
  ASSERT_TRUE(device_->launch(launch).ok());
  EXPECT_TRUE(completions_.wait_for({2}).status.ok());
  EXPECT_LT(now() - begin, std::chrono::seconds(5)) << "another slice is held up";
  EXPECT_FALSE(completions_.ended_within({1}, kHeld)) << "it ran outside its slice, which is full";
  open();
  EXPECT_TRUE(completions_.wait_for({1}).status.ok());
  device_->retire({1});
  device_->retire({2});
  EXPECT_EQ(bytes_of(first.batch), bytes_of(second.batch));
  ASSERT_EQ(device_->gpu()->driver().stream_synchronize(streams->front().get()), CUDA_SUCCESS);
}

}  // namespace
}  // namespace tessera::engine
