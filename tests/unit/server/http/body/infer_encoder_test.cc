#include "server/http/body/infer_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "server/http/body/json_text.h"

namespace tessera::server::http {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// The `data` of a single output as it is written.
std::string data_text(DType dtype, std::span<const std::byte> data) {
  InferResponse response;
  response.model = "m";
  response.version = 3;
  const std::vector<FinishedOutput> outputs = {{"Y", {dtype, {-1}, data}, {}, {}}};
  std::string json;
  std::vector<std::span<const std::byte>> tensors;
  const Status status = encode_answer(response, "", outputs, {}, json, tensors);
  EXPECT_TRUE(tensors.empty());
  if (!status.ok()) {
    return status.error().message();
  }
  const std::size_t at = json.find("\"data\":") + 7;
  return json.substr(at, json.size() - at - 3);
}

TEST(InferEncoder, WritesEveryDatatype) {
  EXPECT_EQ(data_text(DType::kBool, bytes_of<std::uint8_t>({1, 0})), "[true,false]");
  EXPECT_EQ(data_text(DType::kUint8, bytes_of<std::uint8_t>({0, 255})), "[0,255]");
  EXPECT_EQ(data_text(DType::kInt8, bytes_of<std::int8_t>({-128, 127})), "[-128,127]");
  EXPECT_EQ(data_text(DType::kUint16, bytes_of<std::uint16_t>({65535})), "[65535]");
  EXPECT_EQ(data_text(DType::kInt16, bytes_of<std::int16_t>({-32768})), "[-32768]");
  EXPECT_EQ(data_text(DType::kUint32, bytes_of<std::uint32_t>({4294967295U})), "[4294967295]");
  EXPECT_EQ(data_text(DType::kInt32, bytes_of<std::int32_t>({INT32_MIN})), "[-2147483648]");
  EXPECT_EQ(data_text(DType::kUint64, bytes_of<std::uint64_t>({UINT64_MAX})), "[18446744073709551615]");
  EXPECT_EQ(data_text(DType::kInt64, bytes_of<std::int64_t>({INT64_MIN})), "[-9223372036854775808]");
  EXPECT_EQ(data_text(DType::kFp32, bytes_of<float>({0.1F, 1.0F, -2.5e30F})), "[0.1,1.0,-2.5e+30]");
  EXPECT_EQ(data_text(DType::kFp64, bytes_of<double>({0.1, 1e-300})), "[0.1,1e-300]");
  EXPECT_EQ(data_text(DType::kFp16, bytes_of<std::uint16_t>({0x3c00, 0xc000, 0x7c00, 0x0001, 0x7bff})),
            "[1.0,-2.0,Infinity,5.9604645e-08,65504.0]");
  EXPECT_EQ(data_text(DType::kBf16, bytes_of<std::uint16_t>({0x3f80, 0xff80})), "[1.0,-Infinity]");
  EXPECT_EQ(data_text(DType::kInt32, {}), "[]");
}

TEST(InferEncoder, WritesBareNanAndInfinity) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(data_text(DType::kFp64, bytes_of<double>({std::nan(""), kInfinity, -kInfinity})),
            "[NaN,Infinity,-Infinity]");
}

TEST(InferEncoder, WritesStrings) {
  const std::string data = "\x3\0\0\0a\"\n\0\0\0\0\x4\0\0\0\xF0\x9F\x98\x80"s;
  EXPECT_EQ(data_text(DType::kBytes, std::as_bytes(std::span(data))), "[\"a\\\"\\n\",\"\",\"\xF0\x9F\x98\x80\"]");
  for (const std::string& bad : {"\xff"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xe2\x82"s}) {
    const std::string broken = std::string(1, static_cast<char>(bad.size())) + "\0\0\0"s + bad;
    EXPECT_THAT(data_text(DType::kBytes, std::as_bytes(std::span(broken))), HasSubstr("binary data"));
  }
}

TEST(InferEncoder, SendsWhatIsAskedForHowItIsAskedFor) {
  const std::vector<std::int32_t> values = {1, 2};
  InferResponse response;
  response.model = "m\"";
  response.version = 3;
  std::vector<FinishedOutput> outputs = {
      {"A", {DType::kInt32, {2}, bytes_of(values)}, {}, {}},
      {"B", {DType::kInt32, {1, 2}, bytes_of(values)}, {}, {}},
      {"C", {DType::kInt32, {2}, bytes_of(values)}, SharedMemoryRange{"r", 16, 8}, {}}};
  AnswerForm form;
  form.binary_output = true;
  form.outputs = {{"B", 0, {}, false}, {"A", 0, {}, {}}};
  std::string json;
  std::vector<std::span<const std::byte>> tensors;
  ASSERT_TRUE(encode_answer(response, "i\\d", outputs, form, json, tensors).ok());
  EXPECT_EQ(json, R"({"id":"i\\d","model_name":"m\"","model_version":"3","outputs":[)"
                  R"({"name":"A","datatype":"INT32","shape":[2],"parameters":{"binary_data_size":8}},)"
                  R"({"name":"B","datatype":"INT32","shape":[1,2],"data":[1,2]},)"
                  R"({"name":"C","datatype":"INT32","shape":[2]}]})");
  ASSERT_EQ(tensors.size(), 1U);
  EXPECT_EQ(static_cast<const void*>(tensors[0].data()), values.data());  // a view, no copy
}

TEST(JsonText, ReplacesWhatIsNoTextInErrors) {
  EXPECT_EQ(error_json("a\xff\x01\"b"), "{\"error\":\"a\xEF\xBF\xBD\\u0001\\\"b\"}");
}

}  // namespace
}  // namespace tessera::server::http
