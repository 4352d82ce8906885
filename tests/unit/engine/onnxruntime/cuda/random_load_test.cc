// What tests on a GPU do to compare answers under changing slices, on the host: it finds nothing where nothing is
// wrong, and what is.
#include "tests/support/random_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera::engine {
namespace {

class RandomLoadOnHostTest : public testing::Test {
 protected:
  RandomLoadOnHostTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-random-load-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    device_ = device::make_host_device({}).value();
    device_->set_sink(completions_);
    engine_ = OnnxEngine::create(device::HostTopology::of().value()).value();
  }
  ~RandomLoadOnHostTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<LoadedModel> load(const test_support::OnnxWriter& model) {
    model.save(folder_ / "model.onnx");
    LoadOptions options;
    options.file = folder_ / "model.onnx";
    options.max_batch_size = 4;
    return engine_->load(options).value();
  }
  RandomLoad::Outcome run(Net& net) {
    RandomLoad load(*device_, completions_, {{&net, 0, {2, 4}}, {&net, 1, {2, 4}}}, 3);
    return load.run([](const auto& so_far) { return so_far.launches < 200; });
  }

  std::filesystem::path folder_;
  Completions completions_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<OnnxEngine> engine_;
};

TEST_F(RandomLoadOnHostTest, RightAnswersAreFoundRight) {
  const auto model = load(test_support::add_sub_model(true));
  Net net(*device_, *model, {1});
  for (const std::int32_t bucket : {2, 4}) {
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      net.home(bucket, lane, device_->shape().ladder);
    }
    net.learn(bucket);
    EXPECT_EQ(net.rows_that_depend_on_their_place(bucket), 0);
  }
  const auto outcome = run(net);
  EXPECT_GE(outcome.launches, 200U);
  EXPECT_EQ(outcome.wrong, 0U);
}

TEST_F(RandomLoadOnHostTest, OneWrongPlanIsFound) {
  const auto model = load(test_support::add_sub_model(true));
  test_support::OnnxWriter other;
  other.input("INPUT0", DType::kInt32, {"batch", 16}).input("INPUT1", DType::kInt32, {"batch", 16});
  other.output("OUTPUT0", DType::kInt32, {"batch", 16}).output("OUTPUT1", DType::kInt32, {"batch", 16});
  other.node("Add", {"INPUT0", "INPUT1"}, {"OUTPUT0"}).node("Add", {"INPUT1", "INPUT0"}, {"OUTPUT1"});
  const auto wrong = load(other);
  Net net(*device_, *model, {1});
  for (const std::int32_t bucket : {2, 4}) {
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      net.home(bucket, lane, device_->shape().ladder);
    }
    net.learn(bucket);
  }
  const Slice slice = device_->shape().ladder.front();
  net.add_home(4, 1, slice, wrong->prepare_home(4, {1}, slice).value());
  EXPECT_GT(run(net).wrong, 0U);
}

}  // namespace
}  // namespace tessera::engine
