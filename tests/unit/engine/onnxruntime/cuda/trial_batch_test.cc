#include "engine/onnxruntime/cuda/trial_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tessera::engine {
namespace {

class Staging final : public device::StagingPool {
 public:
  class Block final : public device::StagingBlock {
   public:
    explicit Block(std::size_t size) : bytes_(size, std::byte{0xee}) {}
    std::span<std::byte> bytes() override { return bytes_; }

   private:
    std::vector<std::byte> bytes_;
  };
  Result<std::unique_ptr<device::StagingBlock>> lease(Bytes size) override {
    if (size.value > kLargest) {
      return Error(ErrorCode::kTooLarge, "too large");
    }
    return std::unique_ptr<device::StagingBlock>(std::make_unique<Block>(size.value));
  }
  static constexpr std::uint64_t kLargest = 1 << 20;
};

template <typename T>
std::vector<T> values(const BatchInput& input) {
  const std::span<const std::byte> bytes = input.parts.front();
  std::vector<T> read(bytes.size() / sizeof(T));
  std::memcpy(read.data(), bytes.data(), bytes.size());
  return read;
}

class TrialBatchTest : public testing::Test {
 protected:
  Result<TrialBatch> make(std::vector<TensorSpec> inputs, bool batches = true, std::uint32_t seed = 1) {
    FileSignature signature;
    signature.inputs = std::move(inputs);
    return TrialBatch::make(staging_, signature, 3, 4, batches, seed);
  }

  Staging staging_;
};

TEST_F(TrialBatchTest, HasAllRowsOfEveryInput) {
  auto made = make({{"a", DType::kFp32, {-1, 5}}, {"b", DType::kInt64, {-1}}});
  ASSERT_TRUE(made.ok());
  const Batch& batch = made->batch();
  EXPECT_EQ(batch.rows, 3);
  EXPECT_EQ(batch.bucket, 4);
  ASSERT_EQ(batch.inputs.size(), 2U);
  EXPECT_EQ(batch.inputs[0].row_shape, (Shape{5}));
  EXPECT_EQ(batch.inputs[0].parts.front().size(), 3 * 5 * sizeof(float));
  EXPECT_EQ(batch.inputs[1].row_shape, Shape{});
  EXPECT_EQ(batch.inputs[1].parts.front().size(), 3 * sizeof(std::int64_t));
}

TEST_F(TrialBatchTest, ValuesAreSmallAndVary) {
  auto made = make({{"f", DType::kFp32, {-1, 500}},
                    {"d", DType::kFp64, {-1, 500}},
                    {"h", DType::kFp16, {-1, 500}},
                    {"b", DType::kBf16, {-1, 500}},
                    {"i", DType::kInt64, {-1, 500}},
                    {"t", DType::kBool, {-1, 500}}});
  ASSERT_TRUE(made.ok());
  const auto& inputs = made->batch().inputs;
  const auto spread = [](const auto& all) {
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    EXPECT_LT(*least, 0);
    EXPECT_GT(*most, 0);
    EXPECT_GE(*least, -1);
    EXPECT_LE(*most, 1);
  };
  spread(values<float>(inputs[0]));
  spread(values<double>(inputs[1]));
  for (const std::uint16_t bits : values<std::uint16_t>(inputs[2])) {
    EXPECT_LT(bits & 0x7fff, 0x3c00) << "a half below 1";
    EXPECT_GE(bits & 0x7fff, 0x2800) << "and not below 2^-5";
  }
  for (const std::uint16_t bits : values<std::uint16_t>(inputs[3])) {
    EXPECT_LT(bits & 0x7fff, 0x3f80) << "a bfloat below 1";
    EXPECT_GE(bits & 0x7fff, 0x3d00);
  }
  const auto integers = values<std::int64_t>(inputs[4]);
  EXPECT_TRUE(std::all_of(integers.begin(), integers.end(), [](std::int64_t one) { return one == 0 || one == 1; }));
  EXPECT_NE(std::count(integers.begin(), integers.end(), 1), 0);
  const auto truths = values<unsigned char>(inputs[5]);
  EXPECT_TRUE(std::all_of(truths.begin(), truths.end(), [](unsigned char one) { return one <= 1; }));
}

TEST_F(TrialBatchTest, TheSeedDecides) {
  const std::vector<TensorSpec> inputs{{"a", DType::kFp32, {-1, 50}}};
  auto first = make(inputs);
  auto same = make(inputs);
  auto other = make(inputs, true, 2);
  const auto content = [](Result<TrialBatch>& made) { return values<float>(made->batch().inputs.front()); };
  EXPECT_EQ(content(first), content(same));
  EXPECT_NE(content(first), content(other));
}

TEST_F(TrialBatchTest, EmptyInputsAndThoseTooLarge) {
  auto empty = make({{"a", DType::kFp32, {-1, 0}}});
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->batch().inputs.front().parts.front().empty());
  EXPECT_EQ(make({{"a", DType::kFp32, {-1, 1 << 20}}}).error().code(), ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace tessera::engine
