// Tenants on the host device: that every arm of every round is there, with bare launches beside those that have a rule.
#include "measure/sharing.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

TEST(SharingTest, EachRoundHasAllArmsAndBareLaunchesOfThoseWithARule) {
  std::string name = (fs::temp_directory_path() / "tessera-sharing-test-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  fs::create_directories(folder / "small" / "1");
  test_support::add_sub_model(true).save(folder / "small" / "1" / "model.onnx");
  // For GPUs; a host measures the model all the same.
  std::ofstream(folder / "small" / "config.pbtxt")
      << "parameters { key: \"convert_inputs\" value { string_value: \"INPUT0=FP32\" } }\n";

  const auto device = device::make_host_device({}).value();
  const auto engine = engine::OnnxEngine::create(device::HostTopology::of().value()).value();
  SharingOptions options;
  options.models = folder;
  options.mix = {"small"};
  options.batches = {1, 2};
  options.seconds = 0.05;
  options.warm_seconds = 0;
  options.bare = true;
  const auto run = share({"host", "the host", {{*device, *engine}}}, options, "command");
  fs::remove_all(folder);
  ASSERT_TRUE(run.ok()) << run.error().message();
  ASSERT_EQ(run->cells.size(), 10U);
  for (const Cell& cell : run->cells) {
    EXPECT_EQ(cell.rounds.size(), 3U) << cell.policy;
    EXPECT_EQ(cell.polling.size(), 3U) << cell.policy;
    EXPECT_EQ(cell.bare.size(), cell.policy == "tessera" ? 0U : 3U) << cell.policy;
    for (const auto& round : cell.bare) {
      EXPECT_GT(images(round), 0) << cell.policy;
      EXPECT_GE(round[0].p99_ms, round[0].p50_ms) << cell.policy;
    }
  }
  const std::string text = json(*run);
  EXPECT_NE(text.find("\"policy\":\"temporal/0\""), std::string::npos);
  EXPECT_NE(text.find("\"bare_rule\":\"fixed\",\"bare_images_per_s\""), std::string::npos);
  EXPECT_NE(text.find("\"bare_rule\":\"fixed\",\n   \"tenants\""), std::string::npos) << "of the policy tessera";
}

}  // namespace
}  // namespace tessera::measure
