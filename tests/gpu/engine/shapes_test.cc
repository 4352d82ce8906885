// A model with shape buckets: every shape gives the bits that it gives alone, whatever runs before and beside it.
#include "tests/gpu/engine/cuda_fixture.h"

namespace tessera::engine {
namespace {

class ShapesTest : public CudaEngineTest {
 protected:
  static constexpr std::int64_t kWide = 48;

  // As image_model(), for images of any height and width.
  static test_support::OnnxWriter any_image_model() {
    std::mt19937 random(7);
    const auto floats = [&](std::size_t count) { return random_weights(random, count); };
    using A = test_support::OnnxAttribute;
    test_support::OnnxWriter model;
    model.input("image", DType::kFp32, {"batch", 3, "h", "w"}).output("map", DType::kFp32, {"batch", 16, "h", "w"});
    model.initializer("w1", DType::kFp32, {32, 3, 3, 3}, floats(32 * 27))
        .initializer("w2", DType::kFp32, {16, 32, 3, 3}, floats(16 * 32 * 9));
    model.node("Conv", {"image", "w1"}, {"c1"}, {A::integers("pads", {1, 1, 1, 1})}).node("Relu", {"c1"}, {"r1"});
    model.node("Conv", {"r1", "w2"}, {"map"}, {A::integers("pads", {1, 1, 1, 1})});
    return model;
  }
  static std::vector<Shape> shape_of(std::int64_t side) { return {{-1, 3, side, kWide}}; }

  TestBatch images_of(std::int64_t side, std::int32_t rows, std::uint32_t seed) {
    TestBatch made;
    made.batch.rows = made.batch.bucket = rows;
    BatchInput input{DType::kFp32, {3, side, kWide}, {}};
    std::mt19937 random(seed);
    for (std::int32_t row = 0; row < rows; ++row) {
      std::vector<float> values(static_cast<std::size_t>(3 * side * kWide));
      for (float& value : values) {
        value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
      }
      const auto bytes = std::as_bytes(std::span<const float>(values));
      auto block = device_->staging().lease({bytes.size()});
      TESSERA_CHECK(block.ok());
      std::memcpy((*block)->bytes().data(), bytes.data(), bytes.size());
      input.parts.push_back((*block)->bytes().first(bytes.size()));
      made.pinned.push_back(*std::move(block));
    }
    made.batch.inputs.push_back(std::move(input));
    return made;
  }
};

TEST_F(ShapesTest, EveryShapeGivesTheBitsThatItGivesAlone) {
  LoadOptions options = options_for(any_image_model());
  options.timed_choices = false;
  const std::vector<std::int64_t> sides{64, 40, 16};
  std::map<std::pair<std::int64_t, std::int32_t>, std::vector<std::byte>> expected;
  for (const std::int64_t side : sides) {
    options.shapes = {shape_of(side)};
    const auto alone = engine_->load(options);
    ASSERT_TRUE(alone.ok()) << alone.error().message();
    for (const std::int32_t rows : {1, 4}) {
      expected[{side, rows}] = run(home(**alone, rows, 0, shape().whole()), shape().whole(), images_of(side, rows, 3));
      EXPECT_EQ(expected.at({side, rows}).size(), static_cast<std::size_t>(rows * 16 * side * kWide) * sizeof(float));
    }
  }
  options.shapes.clear();
  for (const std::int64_t side : sides) {
    options.shapes.push_back(shape_of(side));
  }
  const auto all = engine_->load(options);
  ASSERT_TRUE(all.ok()) << all.error().message();
  std::mt19937 random(11);
  const std::vector<Slice> slices = full_slices();
  for (int round = 0; round < 200; ++round) {
    const std::int64_t side = sides[random() % sides.size()];
    const std::int32_t rows = random() % 2 == 0 ? 1 : 4;
    const auto lane = static_cast<std::uint16_t>(random() % 2);
    const Slice slice = slices[random() % slices.size()];
    ASSERT_EQ(run(home(**all, rows, lane, slice), slice, images_of(side, rows, 3)), expected.at({side, rows}))
        << side << " x " << rows << ", lane " << lane;
  }
  TestBatch other = images_of(32, 1, 3);
  EXPECT_FALSE(device_->run_borrowed(*home(**all, 1, 0, shape().whole()), shape().whole(), other.batch).ok());
}

TEST_F(ShapesTest, WeightsExistOnceForAllShapes) {
  LoadOptions options = options_for(any_image_model());
  options.shapes = {shape_of(64)};
  const auto one = engine_->load(options);
  options.shapes = {shape_of(64), shape_of(40), shape_of(16)};
  const auto three = engine_->load(options);
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ((*one)->memory().weights, (*three)->memory().weights);
}

}  // namespace
}  // namespace tessera::engine
