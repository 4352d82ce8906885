// Models without a service: that their inputs come as their own configurations say, where the engine converts them, and
// that a store builds each for the batches that will be measured.
#include "measure/models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device/fake/fake_device.h"
#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "measure/shared_parts.h"
#include "tests/support/onnx_writer.h"

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

engine::FileSignature halves() {
  return {.inputs = {{"image", DType::kFp16, Shape{-1, 3, 8, 4}}}, .outputs = {{"out", DType::kFp16, Shape{-1, 2}}}};
}

struct Noted {
  engine::LoadOptions loaded;
  std::vector<std::int32_t> built;
};

class NotingModel final : public engine::LoadedModel {
 public:
  explicit NotingModel(Noted& noted) : noted_(noted) {}
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override {
    return static_cast<const device::Plan*>(&plan_);
  }
  bool one_plan_per_slice() const override { return false; }
  Status build(std::int32_t bucket) override {
    noted_.built.push_back(bucket);
    return ok_status();
  }

 private:
  struct NoPlan final : device::Plan {};
  Noted& noted_;
  const engine::FileSignature signature_ = halves();
  const NoPlan plan_;
};

// Converts inputs, as an engine of GPUs does.
class NotingEngine final : public engine::Engine {
 public:
  const std::string& name() const override { return name_; }
  std::string version() const override { return "1"; }
  Result<engine::FileSignature> inspect(const fs::path&) override { return halves(); }
  Result<std::unique_ptr<engine::LoadedModel>> load(const engine::LoadOptions& options) override {
    noted.loaded = options;
    return std::unique_ptr<engine::LoadedModel>(std::make_unique<NotingModel>(noted));
  }
  bool captures() const override { return true; }

  Noted noted;

 private:
  const std::string name_ = "noting";
};

class ModelsTest : public testing::Test {
 protected:
  ModelsTest() {
    std::string name = (fs::temp_directory_path() / "tessera-models-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    fs::create_directories(folder_ / "net" / "1");
    test_support::add_sub_model(true).save(folder_ / "net" / "1" / "model.onnx");
  }
  ~ModelsTest() override { fs::remove_all(folder_); }

  void configure(const std::string& convert) const {
    std::ofstream(folder_ / "net" / "config.pbtxt")
        << "name: \"net\"\nmax_batch_size: 4\nparameters { key: \"convert_inputs\" value { string_value: \"" << convert
        << "\" } }\n";
  }

  fs::path folder_;
  device::FakeDevice device_{device::FakeOptions{}};
  NotingEngine engine_;
};

TEST_F(ModelsTest, InputsComeAsTheConfigurationSays) {
  configure("image=FP32");
  const auto model = Model::load(device_, engine_, folder_, "net", 4, {1});
  ASSERT_TRUE(model.ok()) << model.error().message();
  ASSERT_EQ(engine_.noted.loaded.input_forms.size(), 1U);
  EXPECT_EQ(engine_.noted.loaded.input_forms.at("image").dtype, DType::kFp32);
  const auto batch = (*model)->batch(2);
  ASSERT_TRUE(batch.ok()) << batch.error().message();
  EXPECT_EQ((*batch)->inputs[0].dtype, DType::kFp32);
  EXPECT_EQ((*batch)->inputs[0].parts[0].size(), 2U * 3 * 8 * 4 * sizeof(float));
}

TEST_F(ModelsTest, PixelsStandLastWhereTheConfigurationSaysSo) {
  configure("image=UINT8:HWC");
  const auto model = Model::load(device_, engine_, folder_, "net", 4, {1});
  ASSERT_TRUE(model.ok()) << model.error().message();
  const auto batch = (*model)->batch(1);
  ASSERT_TRUE(batch.ok()) << batch.error().message();
  EXPECT_EQ((*batch)->inputs[0].dtype, DType::kUint8);
  EXPECT_EQ((*batch)->inputs[0].row_shape, (Shape{8, 4, 3}));
}

// Kernel by kernel nothing is converted, and who compares with that has neither converted.
TEST_F(ModelsTest, InputsComeAsTheFileHasThemWhereNothingIsConverted) {
  for (const ModelOptions& how : {ModelOptions{.uncaptured_in = Slice{0, 1}, .digest = {}},
                                  ModelOptions{.uncaptured_in = {}, .digest = {}, .as_in_file = true}}) {
    configure("image=FP32");
    const auto model = Model::load(device_, engine_, folder_, "net", 4, {1}, how);
    ASSERT_TRUE(model.ok()) << model.error().message();
    EXPECT_TRUE(engine_.noted.loaded.input_forms.empty());
    EXPECT_EQ((*(*model)->batch(1))->inputs[0].dtype, DType::kFp16);
  }
  fs::remove(folder_ / "net" / "config.pbtxt");
  EXPECT_TRUE(input_forms_of(engine_, folder_ / "net")->empty());
}

TEST_F(ModelsTest, AHostConvertsNothingAndLoadsThemAllTheSame) {
  configure("INPUT0=FP32");
  const auto host = device::make_host_device({}).value();
  const auto engine = engine::OnnxEngine::create(device::HostTopology::of().value()).value();
  EXPECT_TRUE(input_forms_of(*engine, folder_ / "net")->empty());
  const auto model = Model::load(*host, *engine, folder_, "net", 4, {1});
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ((*(*model)->batch(1))->inputs[0].dtype, DType::kInt32);
}

TEST_F(ModelsTest, AConfigurationThatIsWrongIsTheError) {
  configure("other=FP32");
  const auto model = Model::load(device_, engine_, folder_, "net", 4, {1});
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message().find("no input 'other'"), std::string::npos) << model.error().message();
}

TEST_F(ModelsTest, AStoreBuildsEachModelOnceForItsBatches) {
  ModelStore store(engine_, 1, {1, 8});
  engine::LoadOptions options;
  options.file = folder_ / "net" / "1" / "model.onnx";
  BorrowedEngine first(store);
  BorrowedEngine second(store);
  ASSERT_TRUE(first.load(options).ok());
  ASSERT_TRUE(second.load(options).ok());
  EXPECT_EQ(engine_.noted.built, (std::vector<std::int32_t>{1, 8}));
}

}  // namespace
}  // namespace tessera::measure
