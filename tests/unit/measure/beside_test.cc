// The measurements on the host device: that each loop runs in its slice, and that what is done meanwhile is timed.
#include "measure/beside.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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
  const auto loading = (*around)->loading("other");
  ASSERT_TRUE(loading.ok()) << loading.error().message();
  EXPECT_GT(loading->took_ms, 0);
  EXPECT_GT(loading->alone.front().launches, 0U);
  EXPECT_GT(loading->beside.front().launches, 0U);
  const auto homing = (*around)->homing();
  ASSERT_TRUE(homing.ok()) << homing.error().message();
  EXPECT_GT(homing->took_ms, 0);
  for (const auto sharing : {Neighbourhood::Sharing::kSlices, Neighbourhood::Sharing::kStreams}) {
    const auto critical = (*around)->critical(sharing, 4);
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
  const auto loading = (*around)->loading("none");
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
