// parameters.convert_inputs: what is read, what is refused, and what clients see.
#include <gtest/gtest.h>

#include "tests/unit/model/config_support.h"

namespace tessera::model {
namespace {

ConfigDefaults gpu_defaults() {
  ConfigDefaults defaults;
  defaults.device_kind = "cuda";
  return defaults;
}

// image: FP16 [free, 3, 224, 200], mask: FP16 [free, 7], ids: INT64 [free, 7].
engine::FileSignature image_file() {
  return {
      {{"image", DType::kFp16, {-1, 3, 224, 200}}, {"mask", DType::kFp16, {-1, 7}}, {"ids", DType::kInt64, {-1, 7}}},
      {{"y", DType::kFp16, {-1, 10}}},
      {}};
}

std::string converts(const std::string& value) {
  return "parameters { key: \"convert_inputs\" value { string_value: \"" + value + "\" } } ";
}

TEST(ConvertInputs, RequestsAreCheckedInTheFormThatIsAskedFor) {
  const auto config = complete_text(converts("image=UINT8:HWC,mask=FP32"), image_file(), gpu_defaults());
  ASSERT_TRUE(config.ok()) << config.error().message();
  const auto& inputs = config->signature.inputs;
  EXPECT_EQ(inputs[0].dtype, DType::kUint8);
  EXPECT_EQ(inputs[0].shape, (Shape{224, 200, 3}));
  EXPECT_EQ(inputs[1].dtype, DType::kFp32);
  EXPECT_EQ(inputs[1].shape, (Shape{7}));
  EXPECT_EQ(inputs[2].dtype, DType::kInt64);
  EXPECT_EQ(config->input_forms.at("image"), (engine::InputForm{DType::kUint8, true}));
  EXPECT_EQ(config->input_forms.at("mask"), (engine::InputForm{DType::kFp32, false}));
  EXPECT_EQ(config->input_forms.size(), 2U);
  const std::string shown = config_json(*config->proto);
  EXPECT_NE(shown.find(R"("name":"image","data_type":"TYPE_UINT8")"), std::string::npos) << shown;
  EXPECT_NE(shown.find(R"("dims":[224,200,3])"), std::string::npos) << shown;
}

TEST(ConvertInputs, TheConfigurationMayNameTheFilesFormOrTheRequests) {
  for (const char* image :
       {"data_type: TYPE_FP16 dims: [3, 224, 200]", "data_type: TYPE_UINT8 dims: [224, 200, 3]", ""}) {
    const auto config =
        complete_text(std::string("input [ { name: \"image\" ") + image + " } ] " + converts("image=UINT8:HWC"),
                      image_file(), gpu_defaults());
    ASSERT_TRUE(config.ok()) << image << ": " << config.error().message();
    EXPECT_EQ(config->signature.inputs[0].shape, (Shape{224, 200, 3}));
    EXPECT_EQ(config->signature.inputs[0].dtype, DType::kUint8);
    // What the server shows can be loaded again.
    const auto again = parse_config_json(config_json(*config->proto));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(complete_config("m", *again, image_file(), gpu_defaults()).ok());
  }
  EXPECT_EQ(error_of("input [ { name: \"image\" data_type: TYPE_FP32 } ] " + converts("image=UINT8"), image_file(),
                     gpu_defaults())
                .rfind("invalid argument: input 'image': data_type: ", 0),
            0U);
}

TEST(ConvertInputs, OneChannelHasTheSameShapeEitherWay) {
  const engine::FileSignature file{{{"image", DType::kFp16, {-1, 1, 8, 8}}}, {{"y", DType::kFp16, {-1, 10}}}, {}};
  const auto config = complete_text(converts("image=FP16:HWC"), file, gpu_defaults());
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->signature.inputs[0].shape, (Shape{8, 8, 1}));
}

TEST(ConvertInputs, SeveralImagesInOneRowAreNotToldApart) {
  for (const std::int64_t first : {-1, 1, 2}) {
    const engine::FileSignature file{{{"image", DType::kFp16, {first, 3, 8, 8}}}, {{"y", DType::kFp16, {10}}}, {}};
    EXPECT_EQ(error_of("max_batch_size: 0 " + converts("image=UINT8:HWC"), file, gpu_defaults()).empty(), first < 2)
        << first;
  }
}

TEST(ConvertInputs, WhatCannotBeIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"", "'' is not INPUT=TYPE, as in image=UINT8:HWC"},
      {"image", "'image' is not INPUT=TYPE, as in image=UINT8:HWC"},
      {"=UINT8", "'=UINT8' is not INPUT=TYPE, as in image=UINT8:HWC"},
      {"image=UINT8,", "'' is not INPUT=TYPE, as in image=UINT8:HWC"},
      {"image=INT8", "'image=INT8' is none of FP32, UINT8, FP32:HWC, UINT8:HWC, FP16:HWC"},
      {"image=FP16", "'image=FP16' is none of FP32, UINT8, FP32:HWC, UINT8:HWC, FP16:HWC"},
      {"image=UINT8:CHW", "'image=UINT8:CHW' is none of FP32, UINT8, FP32:HWC, UINT8:HWC, FP16:HWC"},
      {"ids=FP32", "input 'ids' is INT64 in the model file; only inputs of FP16 are converted"},
      {"picture=FP32", "the model file has no input 'picture'"},
      {"image=FP32,image=UINT8", "input 'image' stands twice"},
      {"mask=FP32:HWC",
       "input 'mask' is [-1,7] in the model file; HWC needs [channels, height, width], fixed, of at most "
       "255 channels"},
  };
  for (const auto& [value, error] : wrong) {
    EXPECT_EQ(error_of(converts(value), image_file(), gpu_defaults()),
              "invalid argument: parameters.convert_inputs: " + error)
        << value;
  }
  EXPECT_EQ(error_of(converts("image=FP32"), image_file()),
            "unsupported: parameters.convert_inputs: inputs are converted on GPUs, and this server runs models on the "
            "processor");
}

}  // namespace
}  // namespace tessera::model
