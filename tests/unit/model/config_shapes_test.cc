// parameters.shape_buckets: what is read, and what is refused.
#include <gtest/gtest.h>

#include "model/synthetic.h"
#include "tests/unit/model/config_support.h"

namespace tessera::model {
namespace {

// ids: INT64 [free, free], image: FP16 [free, 3, free, free], name: BYTES [free, free]; y: FP32 [free, free, 8].
engine::FileSignature free_file() {
  return {
      {{"ids", DType::kInt64, {-1, -1}}, {"image", DType::kFp16, {-1, 3, -1, -1}}, {"name", DType::kBytes, {-1, -1}}},
      {{"y", DType::kFp32, {-1, -1, 8}}},
      {}};
}

std::string buckets(const std::string& value) {
  return "parameters { key: \"shape_buckets\" value { string_value: \"" + value + "\" } } ";
}

TEST(ShapeBucketsConfig, AxesPlacesAndPadding) {
  const auto config = complete_text(
      buckets("seq=4|8; ids[0]=seq; y[0]=seq; pad ids=-1; h = 32 | 64; image[1]=h; w=48; image[2]=w; pad image=0.5;"),
      free_file());
  ASSERT_TRUE(config.ok()) << config.error().message();
  const ShapeBuckets& read = config->shape_buckets;
  ASSERT_EQ(read.axes.size(), 3U);
  EXPECT_EQ(read.axes[1].name, "h");
  EXPECT_EQ(read.axes[1].sizes, (std::vector<std::int64_t>{32, 64}));
  ASSERT_EQ(read.inputs.size(), 3U);
  EXPECT_EQ(read.inputs[1].tensor, 1U);
  EXPECT_EQ(read.inputs[1].dim, 1U);
  EXPECT_EQ(read.inputs[1].axis, 1U);
  ASSERT_EQ(read.outputs.size(), 1U);
  EXPECT_EQ(read.padding, (std::vector<double>{-1, 0.5, 0}));
  EXPECT_EQ(read.combinations().size(), 4U);
  EXPECT_EQ(largest_shape(*config).inputs[1].shape, (Shape{3, 64, 48}));
  EXPECT_TRUE(has_free_dimensions(largest_shape(*config))) << "of name nothing is said";
}

TEST(ShapeBucketsConfig, MistakesAreNamed) {
  const std::string start = "invalid argument: parameters.shape_buckets: ";
  for (const auto& [value, words] : std::vector<std::pair<std::string, std::string>>{
           {"", "names no axis, as in seq=32|64|128"},
           {"32,64", "'32,64' is none of AXIS=SIZE|SIZE, TENSOR[DIMENSION]=AXIS, pad INPUT=VALUE"},
           {"seq=4|4; ids[0]=seq",
            "the sizes of 'seq' are '4|4', and not positive numbers that ascend, as in 32|64|128"},
           {"seq=0; ids[0]=seq", "the sizes of 'seq' are '0', and not positive numbers that ascend, as in 32|64|128"},
           {"seq=4|; ids[0]=seq", "the sizes of 'seq' are '4|', and not positive numbers that ascend, as in 32|64|128"},
           {"seq=4; seq=8", "the axis 'seq' stands twice"},
           {"seq=4", "no input has the axis 'seq'"},
           {"seq=4; y[0]=seq", "no input has the axis 'seq'"},
           {"ids[0]=seq; seq=4", "there is no axis 'seq' before 'ids[0]'"},
           {"seq=4; idz[0]=seq", "the model has no input or output 'idz'"},
           {"seq=4; ids[x]=seq", "'ids[x]' is not TENSOR[DIMENSION], as in ids[0]"},
           {"seq=4; ids[1]=seq", "'ids' is [-1] and has no dimension 1"},
           {"seq=4; image[0]=seq", "'image' is [3,-1,-1]: dimension 0 is fixed already"},
           {"seq=4; ids[0]=seq; ids[0]=seq", "dimension 0 of 'ids' stands twice"},
           {"seq=4; name[0]=seq", "'name' is of BYTES, which are not padded"},
           {"seq=4; ids[0]=seq; pad ids=0.5", "'0.5' is no value for input 'ids'"},
           {"seq=4; ids[0]=seq; pad image=inf", "'inf' is no value for input 'image'"},
           {"seq=4; ids[0]=seq; pad y=1", "the model has no input 'y' to pad"},
           {"a=1|2|3|4|5; b=1|2|3|4; image[1]=a; image[2]=b", "more than 16 shapes, as the axes' sizes multiply"},
           {"seq=4; ids[0]=seq; pad image=1", "input 'image' has no axis that would be padded"},
           {"seq=4; ids[0]=seq; pad ids=1; pad ids=2", "the padding of 'ids' stands twice"},
           {"seq=4; image[1]=seq; pad image=7e4", "'7e4' is no value for input 'image'"},
           {"seq=4; image[1]=seq; pad image=nan", "'nan' is no value for input 'image'"},
           {"a=1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17; ids[0]=a", "the axis 'a' has more than 16 sizes"}}) {
    EXPECT_EQ(error_of(buckets(value), free_file()), start + words) << value;
  }
}

// Sixteen axes of sixteen sizes each: a product that no number holds.
TEST(ShapeBucketsConfig, CombinationsAreBoundedBeforeTheyAreCounted) {
  engine::FileSignature file{{{"x", DType::kFp32, {}}, {"z", DType::kFp32, {}}}, {{"y", DType::kFp32, {1}}}, {}};
  std::string value;
  for (int axis = 0; axis < 16; ++axis) {
    const std::string name = "a" + std::to_string(axis);
    file.inputs[axis % 2].shape.push_back(-1);
    value += name + "=1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16; " + (axis % 2 == 0 ? "x[" : "z[") +
             std::to_string(axis / 2) + "]=" + name + "; ";
  }
  const std::string error = error_of("max_batch_size: 0 " + buckets(value), file);
  EXPECT_NE(error.find("more than 16 shapes"), std::string::npos) << error;
}

TEST(ShapeBucketsConfig, WarmUpsComeInShapesThatThereAre) {
  const auto sample = [](const std::string& dims, const std::string& data) {
    return "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"ids\" value { data_type: TYPE_INT64 dims: " +
           dims + " " + data + " } } } ";
  };
  engine::FileSignature file = free_file();
  file.inputs.resize(1);
  const auto config = complete_text(buckets("seq=4|8; ids[0]=seq") + sample("5", "zero_data: true"), file);
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->warmup[0].inputs[0].shape, (Shape{8}));
  EXPECT_EQ(
      error_of(buckets("seq=4|8; ids[0]=seq") + sample("5", "input_data_file: \"f\""), file),
      "invalid argument: parameters.shape_buckets: model_warmup 'w' gives 'ids' 5 of seq, which is none of its sizes");
  EXPECT_EQ(error_of(buckets("seq=4|8; ids[0]=seq") + sample("9", "zero_data: true"), file),
            "invalid argument: parameters.shape_buckets: model_warmup 'w' gives 'ids' 9 of seq, which is more than its "
            "largest size");
  EXPECT_EQ(
      error_of(buckets("seq=4|900000000; ids[0]=seq") + sample("5", "zero_data: true"), file),
      "invalid argument: parameters.shape_buckets: model_warmup 'w' takes more than 67108864 bytes in shapes that "
      "there are");
}

}  // namespace
}  // namespace tessera::model
