// The models of the demo, where set-up has fetched them: they load, every slice gives the same bits, and weights exist
// once.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <sys/mman.h>

#include "engine/onnxruntime/onnx_model.h"
#include "tests/unit/engine/onnxruntime/engine_fixture.h"

namespace tessera::engine {
namespace {

struct RealModel {
  const char* file;
  Shape row;
};

class RealModelTest : public EngineTest, public testing::WithParamInterface<RealModel> {
 protected:
  static std::filesystem::path file() {
    const char* source = std::getenv("TESSERA_SOURCE_DIR");
    return std::filesystem::path(source == nullptr ? "." : source) / ".deps" / "models" / GetParam().file;
  }

  void SetUp() override {
    if (!std::filesystem::exists(file()) || topology_.atoms() < 2) {
      GTEST_SKIP() << file() << " is not here, or one processor only";
    }
    LoadOptions options;
    options.file = file();
    options.max_batch_size = 4;
    auto loaded = engine_->load(options);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message();
    model_ = *std::move(loaded);
  }

  std::vector<float> answer(const Slice& slice) {
    const auto input = test_support::small_numbers(static_cast<std::size_t>(*GetParam().row.elements()) * 2, 3, 1.0F);
    Batch batch = batch_of(2, {{DType::kFp32, GetParam().row, {bytes_of(input)}}});
    const Status status = plan_for(*model_, slice).run(slice, batch);
    TESSERA_CHECK(status.ok());
    return numbers<float>(batch.outputs[0]);
  }

  std::unique_ptr<LoadedModel> model_;
};

// Makes every page that an initialiser lies in writable, and its numbers a little larger. What does not look like a
// weight (an integer read as a number is tiny) stays.
void enlarge(std::span<const std::byte> bytes) {
  const auto start = reinterpret_cast<std::uintptr_t>(bytes.data()) & ~std::uintptr_t{4095};
  const auto extent = reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size() - start;
  TESSERA_CHECK(::mprotect(reinterpret_cast<void*>(start), extent, PROT_READ | PROT_WRITE) == 0);
  auto* const data = const_cast<std::byte*>(bytes.data());
  for (std::size_t at = 0; at + sizeof(float) <= bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, data + at, sizeof value);
    if (std::abs(value) > 1e-6F && std::abs(value) < 1e3F) {
      value *= 1.01F;
      std::memcpy(data + at, &value, sizeof value);
    }
  }
}

TEST_P(RealModelTest, BitsAreEqualInEverySlice) {
  const auto inspected = engine_->inspect(file());
  ASSERT_TRUE(inspected.ok());
  EXPECT_EQ(inspected->inputs[0].name, model_->signature().inputs[0].name);
  EXPECT_TRUE(GetParam().row.with_first(2).matches(inspected->inputs[0].shape))
      << inspected->inputs[0].shape.to_string();
  const auto one = answer({0, 1});
  EXPECT_FALSE(one.empty());
  EXPECT_EQ(one, answer({0, 2}));
}

// What is written where one session's initialisers lie, the other's run sees as well.
TEST_P(RealModelTest, WeightsExistOnce) {
  const auto before = answer({0, 1});
  ASSERT_EQ(before, answer({0, 2}));
  const MemoryUse use = model_->memory();
  std::cout << "weights " << use.weights.value << " B, a session's own cost " << use.per_home.value << " B\n";
  const auto* onnx = dynamic_cast<const OnnxModel*>(model_.get());
  ASSERT_NE(onnx, nullptr);
  for (const std::string& name : onnx->weights().names()) {
    enlarge(onnx->weights().find(name));
  }
  const auto after = answer({0, 1});
  EXPECT_NE(after, before);
  EXPECT_EQ(after, answer({0, 2}));
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
