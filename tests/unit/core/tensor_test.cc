#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tessera {
namespace {

std::vector<std::byte> prefixed(const std::vector<std::string>& elements) {
  std::vector<std::byte> data;
  for (const std::string& element : elements) {
    for (int shift = 0; shift < 32; shift += 8) {
      data.push_back(static_cast<std::byte>((element.size() >> shift) & 0xff));
    }
    for (const char c : element) {
      data.push_back(static_cast<std::byte>(c));
    }
  }
  return data;
}

TEST(DType, NamesRoundTripAndSizesAreTheProtocols) {
  const std::vector<std::pair<std::string, std::size_t>> expected{
      {"BOOL", 1},  {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8}, {"INT8", 1}, {"INT16", 2},
      {"INT32", 4}, {"INT64", 8}, {"FP16", 2},   {"BF16", 2},   {"FP32", 4},   {"FP64", 8}, {"BYTES", 0}};
  for (const auto& [name, size] : expected) {
    const auto dtype = dtype_from_protocol_name(name);
    ASSERT_TRUE(dtype.has_value()) << name;
    EXPECT_EQ(protocol_name(*dtype), name);
    EXPECT_EQ(size_of(*dtype), size) << name;
  }
  for (const char* unknown : {"", "FP8", "fp32", "STRING", "FP32 "}) {
    EXPECT_FALSE(dtype_from_protocol_name(unknown).has_value()) << unknown;
  }
}

TEST(ByteSize, MultipliesAndRefusesOverflow) {
  EXPECT_EQ(*byte_size(DType::kFp16, {1, 16}), 32U);
  EXPECT_EQ(*byte_size(DType::kFp64, Shape()), 8U);
  EXPECT_EQ(*byte_size(DType::kInt32, {5, 0}), 0U);
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(byte_size(DType::kUint8, {kHuge}).ok());
  for (const Shape& bad : {Shape{kHuge}, Shape{-1, 4}, Shape{1LL << 40, 1LL << 40}}) {
    const auto size = byte_size(DType::kFp32, bad);
    ASSERT_FALSE(size.ok()) << bad.to_string();
    EXPECT_EQ(size.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST(BytesTensor, AcceptsExactlyTheAnnouncedElements) {
  EXPECT_TRUE(check_bytes_tensor(prefixed({}), 0).ok());
  EXPECT_TRUE(check_bytes_tensor(prefixed({"", "a", std::string(300, 'x')}), 3).ok());
}

TEST(BytesTensor, NamesWhatIsWrong) {
  const auto good = prefixed({"abc", "de"});
  const auto message = [](const std::vector<std::byte>& data, std::int64_t elements) {
    const Status status = check_bytes_tensor(data, elements);
    return status.ok() ? std::string("accepted") : status.error().message();
  };
  EXPECT_NE(message(good, 3).find("within the length of element 2"), std::string::npos) << message(good, 3);
  EXPECT_NE(message(good, 1).find("6 bytes after"), std::string::npos) << message(good, 1);
  auto cut = good;
  cut.pop_back();
  EXPECT_NE(message(cut, 2).find("element 1 announces 2 bytes, 1 are left"), std::string::npos) << message(cut, 2);
  const std::vector<std::byte> huge(4, std::byte{0xff});
  EXPECT_NE(message(huge, 1).find("announces 4294967295"), std::string::npos) << message(huge, 1);
}

TEST(BytesTensor, EveryTruncationIsRefused) {
  const auto good = prefixed({"abc", "", "defgh"});
  for (std::size_t length = 0; length < good.size(); ++length) {
    const std::vector<std::byte> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(check_bytes_tensor(cut, 3).ok()) << length;
  }
}

TEST(BytesTensor, AHugeElementCountWithoutDataEndsAtOnce) {
  EXPECT_FALSE(check_bytes_tensor({}, std::numeric_limits<std::int64_t>::max()).ok());
}

}  // namespace
}  // namespace tessera
