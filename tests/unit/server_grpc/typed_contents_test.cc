#include "server/grpc/decode/typed_contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "grpc_service.pb.h"

namespace tessera::server {
namespace {

using inference::InferTensorContents;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<std::vector<std::byte>> read(const std::string& message, DType dtype) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(message));
  const ByteSpans pieces(&piece, 1);
  const WireRange range{0, message.size()};
  TESSERA_ASSIGN_OR_RETURN(const std::size_t size, measure_contents(pieces, range, dtype, "X"));
  std::vector<std::byte> out(size);
  TESSERA_RETURN_IF_ERROR(write_contents(pieces, range, dtype, "X", out));
  return out;
}

template <typename T>
std::vector<T> values(const InferTensorContents& contents, DType dtype) {
  const auto bytes = read(contents.SerializeAsString(), dtype);
  if (!bytes.ok()) {
    ADD_FAILURE() << bytes.error().message();
    return {};
  }
  std::vector<T> out(bytes->size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes->data(), bytes->size());
  return out;
}

TEST(TypedContents, EveryDatatypeHasItsField) {
  InferTensorContents bools, ints, int64s, uints, uint64s, floats, doubles;
  bools.add_bool_contents(true);
  bools.add_bool_contents(false);
  EXPECT_THAT(values<std::uint8_t>(bools, DType::kBool), ElementsAre(1, 0));
  for (const int value : {-7, 100}) {
    ints.add_int_contents(value);
    int64s.add_int64_contents(value * 10'000'000'000);
    floats.add_fp32_contents(static_cast<float>(value) / 4);
    doubles.add_fp64_contents(value / 8.0);
  }
  EXPECT_THAT(values<std::int8_t>(ints, DType::kInt8), ElementsAre(-7, 100));
  EXPECT_THAT(values<std::int16_t>(ints, DType::kInt16), ElementsAre(-7, 100));
  EXPECT_THAT(values<std::int32_t>(ints, DType::kInt32), ElementsAre(-7, 100));
  EXPECT_THAT(values<std::int64_t>(int64s, DType::kInt64), ElementsAre(-70'000'000'000, 1'000'000'000'000));
  EXPECT_THAT(values<float>(floats, DType::kFp32), ElementsAre(-1.75F, 25.0F));
  EXPECT_THAT(values<double>(doubles, DType::kFp64), ElementsAre(-0.875, 12.5));
  uints.add_uint_contents(200);
  EXPECT_THAT(values<std::uint8_t>(uints, DType::kUint8), ElementsAre(200));
  EXPECT_THAT(values<std::uint16_t>(uints, DType::kUint16), ElementsAre(200));
  EXPECT_THAT(values<std::uint32_t>(uints, DType::kUint32), ElementsAre(200u));
  uint64s.add_uint64_contents(~std::uint64_t{0});
  EXPECT_THAT(values<std::uint64_t>(uint64s, DType::kUint64), ElementsAre(~std::uint64_t{0}));
}

TEST(TypedContents, TextsGetTheirLengths) {
  InferTensorContents texts;
  texts.add_bytes_contents(std::string("a\0b", 3));
  texts.add_bytes_contents("");
  const auto bytes = read(texts.SerializeAsString(), DType::kBytes);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()),
            std::string("\x03\0\0\0a\0b\0\0\0\0", 11));
}

TEST(TypedContents, UnpackedValuesAreReadToo) {
  const auto bytes = read(std::string("\x10\x05\x10\x06", 4), DType::kInt8);  // int_contents: 5, then 6
  ASSERT_TRUE(bytes.ok());
  EXPECT_THAT(*bytes, ElementsAre(std::byte{5}, std::byte{6}));
}

TEST(TypedContents, SaysWhatIsWrong) {
  InferTensorContents floats, wide;
  floats.add_fp32_contents(1);
  EXPECT_EQ(read(floats.SerializeAsString(), DType::kInt32).error().message(),
            "input 'X' has fp32_contents, but its datatype INT32 is sent as int_contents");
  EXPECT_THAT(read(floats.SerializeAsString(), DType::kFp16).error().message(), HasSubstr("raw_input_contents"));
  EXPECT_THAT(read(floats.SerializeAsString(), DType::kBf16).error().message(), HasSubstr("raw_input_contents"));
  wide.add_int_contents(128);
  EXPECT_EQ(read(wide.SerializeAsString(), DType::kInt8).error().message(),
            "a value in int_contents of input 'X' does not fit INT8");
  wide.Clear();
  wide.add_uint_contents(65536);
  EXPECT_THAT(read(wide.SerializeAsString(), DType::kUint16).error().message(), HasSubstr("does not fit UINT16"));
  const std::string cut =
      "\x32\x08"
      "1234567";  // eight bytes announced
  EXPECT_THAT(read(cut, DType::kFp32).error().message(), HasSubstr("malformed"));
  const std::string odd =
      "\x32\x07"
      "1234567";  // not a multiple of four
  EXPECT_THAT(read(odd, DType::kFp32).error().message(), HasSubstr("malformed"));
  const std::string text =
      "\x42\x05"
      "ab";
  EXPECT_THAT(read(text, DType::kBytes).error().message(), HasSubstr("malformed"));
}

}  // namespace
}  // namespace tessera::server
