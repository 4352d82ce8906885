#include "server/outputs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace tessera::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> strings_in(std::span<const std::byte> data) {
  std::vector<std::string> strings;
  for (std::size_t at = 0; at + 4 <= data.size();) {
    std::uint32_t length = 0;
    std::memcpy(&length, data.data() + at, 4);
    strings.emplace_back(reinterpret_cast<const char*>(data.data()) + at + 4, length);
    at += 4 + length;
  }
  return strings;
}

template <typename T>
std::vector<std::string> classes(DType dtype, const Shape& shape, const std::vector<T>& values, bool batched,
                                 std::uint32_t k, const std::vector<std::string>& labels = {}) {
  const auto result = classify({dtype, shape, std::as_bytes(std::span(values))}, batched, k, labels);
  EXPECT_TRUE(result.ok());
  return strings_in(result->data);
}

TEST(Classification, OrdersByValueThenIndex) {
  const std::vector<float> values = {0.5F, 2.0F, -1.0F, 2.0F};
  EXPECT_THAT(classes(DType::kFp32, {4}, values, false, 3), ElementsAre("2.000000:1", "2.000000:3", "0.500000:0"));
  EXPECT_THAT(classes(DType::kFp32, {4}, values, false, 1, {"a", "b"}), ElementsAre("2.000000:1:b"));
  EXPECT_THAT(classes(DType::kFp32, {4}, values, false, 2, {"a", "b"}), ElementsAre("2.000000:1:b", "2.000000:3"));
  EXPECT_EQ(classes(DType::kFp32, {4}, values, false, 100).size(), 4U);
}

TEST(Classification, KeepsRowsApart) {
  const std::vector<std::int32_t> values = {1, 2, 3, 9, 8, 7};
  const auto result = classify({DType::kInt32, {2, 3}, std::as_bytes(std::span(values))}, true, 2, {"a", "b", "c"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->shape, (Shape{2, 2}));
  EXPECT_THAT(strings_in(result->data), ElementsAre("3:2:c", "2:1:b", "9:0:a", "8:1:b"));
  EXPECT_THAT(classes(DType::kInt32, {2, 3}, values, false, 1), ElementsAre("9:3"));
}

TEST(Classification, KnowsEveryNumber) {
  EXPECT_THAT(classes<std::uint8_t>(DType::kBool, {2}, {0, 1}, false, 1), ElementsAre("1:1"));
  EXPECT_THAT(classes<std::uint64_t>(DType::kUint64, {1}, {UINT64_MAX}, false, 1),
              ElementsAre("18446744073709551615:0"));
  EXPECT_THAT(classes<std::int8_t>(DType::kInt8, {2}, {-3, -2}, false, 1), ElementsAre("-2:1"));
  EXPECT_THAT(classes<std::uint16_t>(DType::kFp16, {2}, {0x3c00, 0x4000}, false, 1), ElementsAre("2.000000:1"));
  EXPECT_THAT(classes<std::uint16_t>(DType::kBf16, {2}, {0x3f80, 0xbf80}, false, 1), ElementsAre("1.000000:0"));
  EXPECT_THAT(
      classes<double>(DType::kFp64, {3}, {std::nan(""), -std::numeric_limits<double>::infinity(), 1e300}, false, 3)
          .back(),
      HasSubstr("nan:0"));
  EXPECT_THAT(classes<float>(DType::kFp32, {2, 0}, {}, true, 3), ElementsAre());
  EXPECT_FALSE(classify({DType::kBytes, {0}, {}}, false, 1, {}).ok());
}

class OutputsTest : public ::testing::Test {
 protected:
  OutputsTest() {
    response_.outputs = {{"A", {DType::kFp32, {1, 3}, std::as_bytes(std::span(values_))}},
                         {"B", {DType::kFp32, {1, 3}, std::as_bytes(std::span(values_))}}};
  }
  const std::vector<float> values_ = {1, 3, 2};
  InferResponse response_;
  SharedMemory memory_;
};

TEST_F(OutputsTest, PassesValuesOnAsTheyAre) {
  const auto outputs = finish_outputs(response_, {}, nullptr, memory_);
  ASSERT_TRUE(outputs.ok());
  ASSERT_EQ(outputs->size(), 2U);
  EXPECT_EQ(outputs->at(1).name, "B");
  EXPECT_EQ(static_cast<const void*>(outputs->at(1).tensor.data.data()), values_.data());
}

TEST_F(OutputsTest, ClassifiesWithLabels) {
  model::Instance instance;
  instance.signature.max_batch_size = 8;
  instance.labels["B"] = {"x", "y", "z"};
  const std::vector<OutputOptions> options = {{"B", 2, {}, {}}};
  const auto outputs = finish_outputs(response_, options, &instance, memory_);
  ASSERT_TRUE(outputs.ok());
  EXPECT_EQ(outputs->at(0).tensor.dtype, DType::kFp32);
  EXPECT_EQ(outputs->at(1).tensor.dtype, DType::kBytes);
  EXPECT_EQ(outputs->at(1).tensor.shape, (Shape{1, 2}));
  EXPECT_THAT(strings_in(outputs->at(1).tensor.data), ElementsAre("3.000000:1:y", "2.000000:2:z"));
}

TEST_F(OutputsTest, WritesToSharedMemory) {
  const std::string key = "/tessera_outputs_test_" + std::to_string(::getpid());
  const int fd = ::shm_open(key.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, 64), 0);
  ASSERT_TRUE(memory_.register_region("r", key, 0, 64).ok());
  ::shm_unlink(key.c_str());
  std::vector<OutputOptions> options = {{"A", 0, SharedMemoryRange{"r", 8, 16}, {}}};
  const auto outputs = finish_outputs(response_, options, nullptr, memory_);
  ASSERT_TRUE(outputs.ok());
  ASSERT_TRUE(outputs->at(0).shared_memory.has_value());
  EXPECT_EQ(outputs->at(0).shared_memory->byte_size, 12U);
  float written[3];
  ASSERT_EQ(::pread(fd, written, sizeof written, 8), 12);
  EXPECT_THAT(written, ElementsAre(1, 3, 2));
  ::close(fd);
  options[0].shared_memory->byte_size = 11;
  EXPECT_EQ(finish_outputs(response_, options, nullptr, memory_).error().code(), ErrorCode::kInvalidArgument);
  options[0].shared_memory = SharedMemoryRange{"r", 60, 12};
  EXPECT_EQ(finish_outputs(response_, options, nullptr, memory_).error().code(), ErrorCode::kInvalidArgument);
  options[0].shared_memory = SharedMemoryRange{"q", 0, 12};
  EXPECT_EQ(finish_outputs(response_, options, nullptr, memory_).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tessera::server
