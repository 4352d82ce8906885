// Two devices of the host: that each measurement runs on the one that it says, and that both have the model.
#include "measure/pair.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera::measure {
namespace {

class PairTest : public testing::Test {
 protected:
  struct Place {
    std::unique_ptr<device::Device> device;
    std::unique_ptr<engine::Engine> engine;
    Part part() const { return {*device, *engine}; }
  };

  PairTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-pair-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    for (const char* model : {"small", "other"}) {
      std::filesystem::create_directories(folder_ / model / "1");
      test_support::add_sub_model(true).save(folder_ / model / "1" / "model.onnx");
    }
    for (Place& place : places_) {
      place = {device::make_host_device({}).value(),
               engine::OnnxEngine::create(device::HostTopology::of().value()).value()};
    }
  }
  ~PairTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::array<Place, 2> places_;
};

TEST_F(PairTest, LoadsRunOnTheOtherDeviceWhileTheNeighboursGoOn) {
  BesideOptions options;
  options.models = folder_;
  options.neighbours = {"small"};
  options.seconds = 0.05;
  const auto found = loading_elsewhere(places_[0].part(), places_[1].part(), options, {"other", "small"});
  if (!found.ok() && found.error().code() == ErrorCode::kUnsupported) {
    GTEST_SKIP() << found.error().message();  // one core
  }
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->names, std::vector<std::string>{"small"});
  EXPECT_GT(found->took_ms, 0);
  EXPECT_GT(found->alone[0].launches, 0U);
  EXPECT_GT(found->beside[0].launches, 0U);
  EXPECT_FALSE(loading_elsewhere(places_[0].part(), places_[1].part(), options, {"absent"}).ok());
}

TEST_F(PairTest, NeighboursOnBothDevicesAreTimedWhileReplicasCome) {
  BesideOptions options;
  options.models = folder_;
  options.neighbours = {"small"};
  options.seconds = 0.05;
  const auto found = replicating(places_[0].part(), places_[1].part(), options, {"other", "small"});
  if (!found.ok() && found.error().code() == ErrorCode::kUnsupported) {
    GTEST_SKIP() << found.error().message();  // one core
  }
  ASSERT_TRUE(found.ok()) << found.error().message();
  for (const Beside* side : {&found->here, &found->there}) {
    EXPECT_EQ(side->names, std::vector<std::string>{"small"});
    EXPECT_GT(side->alone[0].launches, 0U);
    EXPECT_GT(side->beside[0].launches, 0U);
    EXPECT_GT(side->took_ms, 0);
  }
  EXPECT_FALSE(replicating(places_[0].part(), places_[1].part(), options, {"absent"}).ok());
  std::filesystem::remove_all(folder_ / "small");
  EXPECT_FALSE(replicating(places_[0].part(), places_[1].part(), options, {"other"}).ok()) << "no neighbours";
}

TEST_F(PairTest, AReplicasStepsAreTimedOnBothDevices) {
  const auto found = first_of_replica(places_[0].part(), places_[1].part(), folder_, "small", 2);
  ASSERT_TRUE(found.ok()) << found.error().message();
  ASSERT_EQ(found->first.size(), 2U);
  ASSERT_EQ(found->replica.size(), 2U);
  EXPECT_GT(found->replica[0].load, 0);
  EXPECT_GT(found->ratio(), 0);
  EXPECT_NE(to_json(*found).find("\"replica\":[{\"load_ms\":"), std::string::npos);
}

}  // namespace
}  // namespace tessera::measure
