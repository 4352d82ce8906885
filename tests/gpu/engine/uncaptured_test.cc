// Models that run kernel by kernel, as they cannot be captured: what they answer, where they run, and that launches
// before and behind them wait as for any other.
#include <chrono>
#include <numeric>

#include "base/clock.h"
#include "tests/gpu/engine/hold_fixture.h"

namespace tessera::engine {
namespace {

class UncapturedTest : public HoldTest {
 protected:
  static constexpr Slice kSlice{0, 2};

  std::unique_ptr<LoadedModel> load_uncaptured(const test_support::OnnxWriter& model, std::int32_t max_batch_size = 4,
                                               const Slice& slice = kSlice) {
    LoadOptions options = options_for(model, max_batch_size);
    options.uncaptured_in = slice;
    options.timed_choices = false;
    auto loaded = engine_->load(options);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message();
    return loaded.ok() ? *std::move(loaded) : nullptr;
  }
  device::Launch launch_of(const device::Plan* plan, const Slice& slice, Batch& batch, std::uint32_t instance = 1) {
    device::Launch launch;
    launch.id = {++last_};
    launch.instance = {instance};
    launch.slice = slice;
    launch.plan = plan;
    launch.batch = &batch;
    return launch;
  }
  Status end(LaunchId id) {
    const device::Completion completion = completions_.wait_for(id);
    device_->retire(id);
    return completion.status;
  }

  // Where in a vector of 16 numbers there is one that is not zero: as many places as there are, which the host has to
  // ask for.
  static test_support::OnnxWriter places_model() {
    test_support::OnnxWriter model;
    model.input("numbers", DType::kFp32, {16}).output("places", DType::kInt64, {1, "found"});
    model.node("NonZero", {"numbers"}, {"places"});
    return model;
  }

  std::uint64_t last_ = 0;
};

TEST_F(UncapturedTest, AnswersAsTheCapturedModelDoesInEveryBatchSize) {
  LoadOptions options = options_for(image_model());
  options.timed_choices = false;
  auto captured = engine_->load(options);
  ASSERT_TRUE(captured.ok());
  const auto model = load_uncaptured(image_model());
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->only_slice(), kSlice);
  for (const std::int32_t bucket : {1, 2, 4}) {
    const device::Plan* plan = home(*model, bucket, 0, kSlice);
    for (std::int32_t rows = 1; rows <= bucket; ++rows) {
      const auto expected = run(home(**captured, bucket, 0, kSlice), kSlice, images(rows, bucket, 5));
      EXPECT_EQ(run(plan, kSlice, images(rows, bucket, 5)), expected) << rows << " of " << bucket;
      EXPECT_EQ(run(plan, kSlice, images(rows, bucket, 5, false)), expected) << "from memory that is not pinned";
    }
  }
  EXPECT_EQ(model->prepare_home(1, {1}, kSlice).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(model->prepare_home(1, {0}, {2, 2}).error().code(), ErrorCode::kUnsupported);
}

TEST_F(UncapturedTest, WhatTheHostHasToAskForCannotBeCapturedButRun) {
  auto captured = engine_->load(options_for(places_model(), 0));
  ASSERT_TRUE(captured.ok()) << captured.error().message();
  const auto refused = (*captured)->prepare_home(1, {0}, shape().whole());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported) << refused.error().message();
  const auto model = load_uncaptured(places_model(), 0);
  ASSERT_NE(model, nullptr);
  const device::Plan* plan = home(*model, 1, 0, kSlice);
  ASSERT_NE(plan, nullptr);
  for (const std::vector<std::int64_t>& expected : std::vector<std::vector<std::int64_t>>{{3, 7, 15}, {}, {0}}) {
    std::vector<float> numbers(16, 0.0F);
    for (const std::int64_t place : expected) {
      numbers[static_cast<std::size_t>(place)] = 1.5F;
    }
    Batch batch{.rows = 1, .bucket = 1, .inputs = {}, .outputs = {}, .output_memory = {}};
    batch.inputs.push_back({DType::kFp32, {16}, {std::as_bytes(std::span<const float>(numbers))}});
    ASSERT_TRUE(device_->run_borrowed(*plan, kSlice, batch).ok());
    ASSERT_EQ(batch.outputs.size(), 1U);
    ASSERT_EQ(batch.outputs[0].shape, (Shape{1, static_cast<std::int64_t>(expected.size())}));
    std::vector<std::int64_t> found(expected.size());
    std::copy(batch.outputs[0].data.begin(), batch.outputs[0].data.end(),
              std::as_writable_bytes(std::span(found)).begin());
    EXPECT_EQ(found, expected);
  }
}

TEST_F(UncapturedTest, ShapesMayVaryFromRunToRun) {
  test_support::OnnxWriter model;
  model.input("text", DType::kFp32, {"batch", "length"}).output("out", DType::kFp32, {"batch", "length"});
  model.node("Neg", {"text"}, {"out"});
  const auto loaded = load_uncaptured(model);
  ASSERT_NE(loaded, nullptr);
  const device::Plan* plan = home(*loaded, 4, 0, kSlice);
  ASSERT_NE(plan, nullptr);
  for (const std::int64_t length : {5, 300, 1, 5}) {
    std::vector<float> values(static_cast<std::size_t>(3 * length));
    std::iota(values.begin(), values.end(), 1.0F);
    Batch batch{.rows = 3, .bucket = 4, .inputs = {}, .outputs = {}, .output_memory = {}};
    batch.inputs.push_back({DType::kFp32, Shape{length}, {std::as_bytes(std::span<const float>(values))}});
    ASSERT_TRUE(device_->run_borrowed(*plan, kSlice, batch).ok());
    ASSERT_EQ(batch.outputs[0].shape, (Shape{3, length}));
    std::vector<float> out(values.size());
    std::copy(batch.outputs[0].data.begin(), batch.outputs[0].data.end(),
              std::as_writable_bytes(std::span(out)).begin());
    for (std::size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(out[i], -values[i]) << i;
    }
  }
}

TEST_F(UncapturedTest, ARunThatItsMemoryLimitDoesNotAllowFailsAlone) {
  test_support::OnnxWriter model;
  model.input("text", DType::kFp32, {"batch", "length"}).output("out", DType::kFp32, {"batch", "length"});
  model.node("Neg", {"text"}, {"out"});
  LoadOptions options = options_for(model);
  options.uncaptured_in = kSlice;
  options.memory_limit = Bytes{16U << 20};
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const device::Plan* plan = home(**loaded, 1, 0, kSlice);
  ASSERT_NE(plan, nullptr);
  for (const std::size_t length : {std::size_t{100}, std::size_t{8} << 20, std::size_t{100}}) {
    const std::vector<float> values(length, 1.0F);
    Batch batch{.rows = 1, .bucket = 1, .inputs = {}, .outputs = {}, .output_memory = {}};
    batch.inputs.push_back(
        {DType::kFp32, Shape{static_cast<std::int64_t>(length)}, {std::as_bytes(std::span<const float>(values))}});
    const auto ran = device_->run_borrowed(*plan, kSlice, batch);
    EXPECT_EQ(ran.ok(), length == 100) << length;
    if (!ran.ok()) {
      EXPECT_NE(ran.error().message().find("memory_limit_mb"), std::string::npos) << ran.error().message();
    }
  }
}

TEST_F(UncapturedTest, ItKeepsToItsSlice) {
  const auto model = load_uncaptured(image_model());
  ASSERT_NE(model, nullptr);
  const device::Plan* plan = home(*model, 4, 0, kSlice);
  const auto elsewhere = load_uncaptured(image_model(), 4, {2, 2});
  ASSERT_NE(elsewhere, nullptr);
  const device::Plan* outside = home(*elsewhere, 4, 0, {2, 2});
  const auto expected = run(plan, kSlice, images(4, 4, 1));
  const device::HomedGraph held = hold(kSlice);
  const auto streams = device_->gpu()->make_streams(1);
  ASSERT_TRUE(streams.ok());
  ASSERT_TRUE(held.launch(streams->front().get()).ok());
  ASSERT_TRUE(fills(kSlice));

  TestBatch first = images(4, 4, 1);
  TestBatch second = images(4, 4, 1);
  const device::Launch inside = launch_of(plan, kSlice, first.batch, 1);
  const device::Launch beside = launch_of(outside, {2, 2}, second.batch, 2);
  ASSERT_TRUE(device_->launch(inside).ok());
  ASSERT_TRUE(device_->launch(beside).ok());
  EXPECT_TRUE(end(beside.id).ok()) << "another slice is held up";
  EXPECT_FALSE(completions_.ended_within(inside.id, kHeld)) << "it ran outside its slice, which is full";
  open();
  EXPECT_TRUE(end(inside.id).ok());
  EXPECT_EQ(bytes_of(first.batch), expected);
  EXPECT_EQ(bytes_of(second.batch), expected);
  ASSERT_EQ(device_->gpu()->driver().stream_synchronize(streams->front().get()), CUDA_SUCCESS);
}

TEST_F(UncapturedTest, LaunchesOfOverlappingSlicesWaitForIt) {
  const auto model = load_uncaptured(image_model());
  const auto other = load(image_model());
  ASSERT_NE(model, nullptr);
  ASSERT_NE(other, nullptr);
  const device::Plan* plan = home(*model, 4, 0, kSlice);
  std::vector<Slice> slices;  // that overlap it
  for (const Slice& slice : full_slices()) {
    if (slice.overlaps(kSlice)) {
      slices.push_back(slice);
      ASSERT_NE(home(*other, 1, 0, slice), nullptr);
    }
  }
  const auto expected = run(plan, kSlice, images(4, 4, 9));
  constexpr int kRounds = 30;
  for (int round = 0; round < kRounds; ++round) {
    TestBatch batch = images(4, 4, 9);
    const device::Launch launch = launch_of(plan, kSlice, batch.batch);
    ASSERT_TRUE(device_->launch(launch).ok());
    TestBatch behind = images(1, 1, 3);
    const Slice& slice = slices[static_cast<std::size_t>(round) % slices.size()];
    const device::Launch next = launch_of(home(*other, 1, 0, slice), slice, behind.batch, 2);
    ASSERT_TRUE(device_->launch(next).ok());
    const device::Completion first = completions_.wait_for(launch.id);
    EXPECT_FALSE(completions_.ended_within(next.id, kHeld / 10)) << "it is held until the other is retired";
    device_->retire(launch.id);
    const device::Completion second = completions_.wait_for(next.id);
    device_->retire(next.id);
    ASSERT_TRUE(first.status.ok()) << first.status.error().message();
    ASSERT_TRUE(second.status.ok()) << second.status.error().message();
    EXPECT_LE(first.ended, second.ended);
    EXPECT_EQ(bytes_of(batch.batch), expected) << round;
  }
}

}  // namespace
}  // namespace tessera::engine
