#include <fstream>

#include "tests/unit/engine/onnxruntime/engine_fixture.h"

namespace tessera::engine {
namespace {

using test_support::OnnxWriter;

class InspectTest : public EngineTest {
 protected:
  std::filesystem::path write(std::string_view content) const {
    std::ofstream(folder_ / "model.onnx", std::ios::binary) << content;
    return folder_ / "model.onnx";
  }
  Error error_of(const std::filesystem::path& file) const {
    const auto found = engine_->inspect(file);
    EXPECT_FALSE(found.ok());
    return found.ok() ? Error(ErrorCode::kInternal, "no error") : found.error();
  }
  // What the file declares may be in order though nobody can compute it.
  Error error_of_load(const std::filesystem::path& file) const {
    EXPECT_TRUE(engine_->inspect(file).ok());
    LoadOptions options;
    options.file = file;
    const auto loaded = engine_->load(options);
    EXPECT_FALSE(loaded.ok());
    return loaded.ok() ? Error(ErrorCode::kInternal, "no error") : loaded.error();
  }
};

TEST_F(InspectTest, TellsNamesTypesAndShapes) {
  const auto found = engine_->inspect(save(test_support::add_sub_model(true)));
  ASSERT_TRUE(found.ok()) << found.error().message();
  ASSERT_EQ(found->inputs.size(), 2U);
  ASSERT_EQ(found->outputs.size(), 2U);
  EXPECT_EQ(found->inputs[1].name, "INPUT1");
  EXPECT_EQ(found->inputs[1].dtype, DType::kInt32);
  EXPECT_EQ(found->inputs[1].shape, (Shape{-1, 16}));
  EXPECT_EQ(found->outputs[0].name, "OUTPUT0");
}

TEST_F(InspectTest, FreeNamedAndNegativeDimensionsAreAllFree) {
  const auto found = engine_->inspect(save(test_support::dynamic_identity_model()));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->inputs[0].shape, (Shape{-1, -1, -1, -1}));
}

TEST_F(InspectTest, EveryTypeOfTheProtocol) {
  for (const DType dtype :
       {DType::kBool, DType::kUint8, DType::kUint16, DType::kUint32, DType::kUint64, DType::kInt8, DType::kInt16,
        DType::kInt32, DType::kInt64, DType::kFp16, DType::kBf16, DType::kFp32, DType::kFp64, DType::kBytes}) {
    const auto found = engine_->inspect(save(test_support::identity_model(dtype, {"batch", 3})));
    ASSERT_TRUE(found.ok()) << protocol_name(dtype) << ": " << found.error().message();
    EXPECT_EQ(found->inputs[0].dtype, dtype);
    EXPECT_EQ(found->outputs[0].dtype, dtype);
  }
}

TEST_F(InspectTest, InitialisersListedAsInputsAreNone) {
  OnnxWriter model;
  const std::vector<float> one{1.0F};
  model.input("INPUT0", DType::kFp32, {"batch", 1})
      .input("W", DType::kFp32, {1})
      .output("OUTPUT0", DType::kFp32, {"batch", 1});
  model.initializer("W", DType::kFp32, {1}, std::string_view(reinterpret_cast<const char*>(one.data()), 4));
  model.node("Add", {"INPUT0", "W"}, {"OUTPUT0"});
  const auto found = engine_->inspect(save(model));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->inputs.size(), 1U);
}

TEST_F(InspectTest, BrokenFilesAreTheCallersMistake) {
  const std::string good = test_support::add_sub_model(true).bytes();
  for (const std::string& content :
       {std::string(), std::string("not a model"), good.substr(0, good.size() / 2), std::string(5000, '\xff')}) {
    const Error error = error_of(write(content));
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.message();
    EXPECT_FALSE(error.message().empty());
  }
}

TEST_F(InspectTest, AGraphThatMakesNoSenseIsRefusedWithTheParsersWords) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {1}).output("OUTPUT0", DType::kFp32, {1});
  model.node("Add", {"INPUT0", "nowhere"}, {"OUTPUT0"});
  const Error error = error_of_load(save(model));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message().find("nowhere"), std::string::npos) << error.message();
}

TEST_F(InspectTest, UnknownOperatorsAreNamed) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {1})
      .output("OUTPUT0", DType::kFp32, {1})
      .node("Frobnicate", {"INPUT0"}, {"OUTPUT0"});
  EXPECT_NE(error_of_load(save(model)).message().find("Frobnicate"), std::string::npos);
}

TEST_F(InspectTest, AMissingFileIsNotFound) {
  EXPECT_EQ(error_of(folder_ / "none.onnx").code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(folder_).code(), ErrorCode::kInvalidArgument);
}

OnnxWriter with_external(std::string_view location) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", 4}).output("OUTPUT0", DType::kFp32, {"batch", 4});
  model.external_initializer("W", DType::kFp32, {4}, location, 0, 16).node("Add", {"INPUT0", "W"}, {"OUTPUT0"});
  return model;
}

class ExternalDataTest : public InspectTest {
 protected:
  ExternalDataTest() {
    std::filesystem::create_directories(folder_ / "model" / "inner");
    for (const char* name : {"outside.bin", "model/inside.bin", "model/inner/deep.bin"}) {
      std::ofstream(folder_ / name, std::ios::binary) << std::string(16, '\0');
    }
    std::filesystem::create_symlink(folder_ / "outside.bin", folder_ / "model" / "link.bin");
    std::filesystem::create_symlink("inside.bin", folder_ / "model" / "good_link.bin");
  }
  Result<FileSignature> inspect(std::string_view location) const {
    return engine_->inspect(save(with_external(location), "model/model.onnx"));
  }
};

TEST_F(ExternalDataTest, InsideTheFolderIsRead) {
  for (const char* location :
       {"inside.bin", "./inside.bin", "inner/deep.bin", "inner/../inside.bin", "good_link.bin"}) {
    const auto found = inspect(location);
    ASSERT_TRUE(found.ok()) << location << ": " << found.error().message();
    EXPECT_EQ(found->external_data, std::vector<std::string>{location});
  }
}

TEST_F(ExternalDataTest, OutsideTheFolderIsRefused) {
  const std::string absolute = (folder_ / "outside.bin").string();
  const std::string sibling = "../" + folder_.filename().string() + "/outside.bin";
  for (const std::string& location : {std::string("../outside.bin"), absolute, std::string("link.bin"), sibling,
                                      std::string("inner/../../outside.bin"), std::string("/etc/passwd"),
                                      std::string(""), std::string("."), std::string("../model-other/x")}) {
    const auto found = inspect(location);
    ASSERT_FALSE(found.ok()) << location;
    EXPECT_EQ(found.error().code(), ErrorCode::kInvalidArgument) << location;
  }
  EXPECT_NE(inspect("../outside.bin").error().message().find("outside the model's folder"), std::string::npos);
}

TEST_F(ExternalDataTest, MissingOrTooShortIsRefused) {
  EXPECT_NE(inspect("gone.bin").error().message().find("gone.bin"), std::string::npos);
  std::filesystem::resize_file(folder_ / "model" / "inside.bin", 8);
  LoadOptions options;
  options.file = save(with_external("inside.bin"), "model/model.onnx");
  const auto loaded = engine_->load(options);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code(), ErrorCode::kInvalidArgument) << loaded.error().message();
}

}  // namespace
}  // namespace tessera::engine
