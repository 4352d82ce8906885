// The models of the demo, where set-up has fetched them: they load, and every slice gives the same bits.
#include <cstdlib>

#include "tests/unit/engine/onnxruntime/engine_fixture.h"

namespace tessera::engine {
namespace {

struct RealModel {
  const char* file;
  Shape row;
};

class RealModelTest : public EngineTest, public testing::WithParamInterface<RealModel> {};

TEST_P(RealModelTest, BitsAreEqualInEverySlice) {
  const char* source = std::getenv("TESSERA_SOURCE_DIR");
  const auto file = std::filesystem::path(source == nullptr ? "." : source) / ".deps" / "models" / GetParam().file;
  if (!std::filesystem::exists(file) || topology_.atoms() < 2) {
    GTEST_SKIP() << file << " is not here, or one processor only";
  }
  LoadOptions options;
  options.file = file;
  options.max_batch_size = 4;
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const auto inspected = engine_->inspect(file);
  ASSERT_TRUE(inspected.ok());
  EXPECT_EQ(inspected->inputs[0].name, (*loaded)->signature().inputs[0].name);
  EXPECT_TRUE(GetParam().row.with_first(2).matches(inspected->inputs[0].shape))
      << inspected->inputs[0].shape.to_string();
  const auto input = test_support::small_numbers(static_cast<std::size_t>(*GetParam().row.elements()) * 2, 3, 1.0F);
  std::vector<std::vector<float>> answers;
  for (const Slice& slice : {Slice{0, 1}, Slice{0, 2}}) {
    Batch batch = batch_of(2, {{DType::kFp32, GetParam().row, {bytes_of(input)}}});
    const Status status = plan_for(**loaded, slice).run(slice, batch);
    ASSERT_TRUE(status.ok()) << status.error().message();
    answers.push_back(numbers<float>(batch.outputs[0]));
  }
  EXPECT_FALSE(answers[0].empty());
  EXPECT_EQ(answers[0], answers[1]);
  const MemoryUse use = (*loaded)->memory();
  RecordProperty("weights", std::to_string(use.weights.value));
  RecordProperty("session_of_its_own", std::to_string(use.per_home.value));
}

INSTANTIATE_TEST_SUITE_P(Demo, RealModelTest,
                         testing::Values(RealModel{"ocr_detection.onnx", {3, 96, 96}},
                                         RealModel{"ocr_recognition.onnx", {3, 48, 160}},
                                         RealModel{"ocr_orientation.onnx", {3, 48, 192}},
                                         RealModel{"faces.onnx", {3, 96, 96}}),
                         [](const auto& info) {
                           const std::string name = info.param.file;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace tessera::engine
