// The measurements on the host device: that each loop runs in its slice, and that what is done meanwhile is timed.
#include "measure/beside.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "device/fake/fake_device.h"
#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera::measure {
namespace {

using std::chrono::milliseconds;

DeviceShape shape_of(std::uint16_t atoms) {
  return {.name = "test",
          .processors = std::vector<std::uint16_t>(atoms, 8),
          .ladder = aligned_ladder(atoms),
          .loader = loader_slice(atoms)};
}

TEST(SideBySideTest, SlicesAreDisjointAndOfEqualSize) {
  EXPECT_EQ(side_by_side(shape_of(16), 4), (std::vector<Slice>{{0, 4}, {4, 4}, {8, 4}, {12, 4}}));
  EXPECT_EQ(side_by_side(shape_of(2), 2), (std::vector<Slice>{{0, 1}, {1, 1}}));
  EXPECT_LT(side_by_side(shape_of(2), 3).size(), 3U);
}

TEST(BesideTest, TheWorstNeighbourCounts) {
  Beside result;
  result.names = {"a", "b"};
  result.alone = {{10, 1, 1, 2.0, 3.0}, {10, 1, 1, 4.0, 5.0}};
  result.beside = {{10, 1, 1, 2.2, 3.5}, {10, 1, 1, 4.0, 9.0}};
  EXPECT_DOUBLE_EQ(result.worst_p99_ratio(), 1.1);
  EXPECT_DOUBLE_EQ(result.most_worst_ms_more(), 4.0);
}

struct TwentyMilliseconds final : device::FakePlan {
  std::optional<Duration> latency(const Slice& /*slice*/, const Batch& /*batch*/) const override {
    return milliseconds(20);  // long beside what a busy host adds
  }
};

// Two lanes in one slice take turns: each is timed from the other's end. As plain streams each is timed from its own
// launch; this device runs what is in one slice one by one all the same.
TEST(LoopsTest, WhatIsCommittedBehindIsTimedFromTheEndBeforeIt) {
  device::FakeOptions options;
  options.clock = device::FakeOptions::Clock::kReal;
  device::FakeDevice device(options);
  const TwentyMilliseconds plan;
  std::array<Batch, 2> batches;
  Loops loops(device);
  const auto run = [&](device::After after) {
    std::vector<Loop> both;
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      both.push_back({.plan = &plan, .batch = &batches.at(lane), .lane = {lane}, .slice = {0, 1}, .after = after});
    }
    return loops.run(both, milliseconds(300)).value();
  };
  const auto behind = run(device::After::kOverlap);
  const auto beside = run(device::After::kLane);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_GE(behind[i].p50_ms, 19.9);
    EXPECT_LT(behind[i].p50_ms, 30);
    EXPECT_GE(beside[i].p50_ms, 30);
  }
}

// With one launch on its way at a time nothing overlaps, in whatever slices: a turn comes after all others.
TEST(LoopsTest, LaunchesBeyondThoseThatMayBeOnTheirWayWaitForTheirTurn) {
  device::FakeOptions options;
  options.clock = device::FakeOptions::Clock::kReal;
  device::FakeDevice device(options);
  const TwentyMilliseconds plan;
  std::array<Batch, 3> batches;
  std::vector<Loop> all;
  for (Batch& batch : batches) {
    const auto lane = static_cast<std::uint16_t>(all.size());
    all.push_back({.plan = &plan, .batch = &batch, .lane = {lane}, .slice = {lane, 1}});
  }
  Loops loops(device);
  const auto beside = loops.run(all, milliseconds(300)).value();
  const auto in_turns = loops.run(all, milliseconds(300), {}, 1).value();
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_LT(beside[i].whole_p50_ms, 30);
    EXPECT_LT(in_turns[i].p50_ms, 30);
    EXPECT_GE(in_turns[i].whole_p50_ms, 59);
    EXPECT_LT(in_turns[i].launches, beside[i].launches);
  }
}

TEST(LoopsTest, LargeInputsAreCopiedToTheDeviceOnceAheadOfAllLaunches) {
  device::FakeOptions options;
  options.clock = device::FakeOptions::Clock::kReal;
  options.copies = 1;
  device::FakeDevice device(options);
  const std::vector<std::byte> large(100'000);
  const std::vector<std::byte> small(100);
  Batch batch;
  batch.inputs = {{DType::kUint8, {100'000}, {large}}, {DType::kUint8, {100}, {small}}};
  const TwentyMilliseconds plan;
  Loops loops(device);
  for (int run = 0; run < 2; ++run) {
    ASSERT_TRUE(loops.run({{.plan = &plan, .batch = &batch, .slice = {0, 1}}}, milliseconds(50)).ok());
  }
  EXPECT_EQ(batch.inputs[0].copied, std::vector<bool>{true});
  EXPECT_EQ(batch.inputs[1].copied, std::vector<bool>{false});
  Batch other = batch;
  other.inputs[0].copied.clear();
  device.refuse_next(invalid_argument("no more copies"));
  const auto refused = loops.run({{.plan = &plan, .batch = &other, .slice = {0, 1}}}, milliseconds(50));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "no more copies");
}

class NeighbourhoodTest : public testing::Test {
 protected:
  NeighbourhoodTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-measure-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    options_.models = folder_ = name;
    options_.neighbours = {"small"};
    options_.seconds = 0.05;
    for (const char* model : {"small", "other"}) {
      std::filesystem::create_directories(folder_ / model / "1");
      test_support::add_sub_model(true).save(folder_ / model / "1" / "model.onnx");
    }
    device_ = device::make_host_device({}).value();
    engine_ = engine::OnnxEngine::create(device::HostTopology::of().value()).value();
  }
  ~NeighbourhoodTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  BesideOptions options_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<engine::OnnxEngine> engine_;
};

TEST_F(NeighbourhoodTest, LoopsGoOnWhileAModelIsLoaded) {
  if (device_->shape().atoms() < 2) {
    GTEST_SKIP() << "one core";
  }
  auto around = Neighbourhood::make(*device_, *engine_, options_);
  ASSERT_TRUE(around.ok()) << around.error().message();
  using Behind = Neighbourhood::Behind;
  for (const auto behind : {Behind::kNothing, Behind::kOneBatch}) {
    const auto loading = (*around)->loading("other", behind);
    ASSERT_TRUE(loading.ok()) << loading.error().message();
    EXPECT_GT(loading->took_ms, 0);
    EXPECT_EQ(loading->names.size(), behind == Behind::kOneBatch ? 2U : 1U);
    for (std::size_t i = 0; i < loading->names.size(); ++i) {
      EXPECT_GT(loading->alone[i].launches, 0U);
      EXPECT_GT(loading->beside[i].launches, 0U);
    }
    const auto homing = (*around)->homing(behind);
    ASSERT_TRUE(homing.ok()) << homing.error().message();
    EXPECT_GT(homing->took_ms, 0);
  }
  for (const auto sharing : {Neighbourhood::Sharing::kSlices, Neighbourhood::Sharing::kStreams}) {
    const auto critical = (*around)->critical(sharing, {.critical = "small", .greedy = "small", .greedy_rows = 4});
    ASSERT_TRUE(critical.ok()) << critical.error().message();
    EXPECT_EQ(critical->beside.size(), 1U);
    EXPECT_GE(critical->beside.front().worst_ms, critical->beside.front().p99_ms);
    EXPECT_GE(critical->beside.front().p99_ms, critical->beside.front().p50_ms);
  }
}

TEST_F(NeighbourhoodTest, WhatFailsMeanwhileIsTheAnswer) {
  if (device_->shape().atoms() < 2) {
    GTEST_SKIP() << "one core";
  }
  auto around = Neighbourhood::make(*device_, *engine_, options_);
  ASSERT_TRUE(around.ok()) << around.error().message();
  const auto unknown = (*around)->critical(Neighbourhood::Sharing::kSlices, {.critical = "none", .greedy = "small"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message().find("'none'"), std::string::npos);
  const auto loading = (*around)->loading("none", Neighbourhood::Behind::kNothing);
  ASSERT_FALSE(loading.ok());
  EXPECT_NE(loading.error().message().find("'none'"), std::string::npos);
}

TEST_F(NeighbourhoodTest, TooFewSlicesAreNamed) {
  options_.neighbours.assign(device_->shape().atoms(), "small");
  const auto around = Neighbourhood::make(*device_, *engine_, options_);
  ASSERT_FALSE(around.ok());
  EXPECT_EQ(around.error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace tessera::measure
