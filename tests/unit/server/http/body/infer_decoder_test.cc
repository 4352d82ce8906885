#include "server/http/body/infer_decoder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "tests/unit/server/http/body/decoding.h"

namespace tessera::server::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

template <typename T>
std::vector<T> data_of(std::string_view dtype, std::string_view shape, std::string_view data) {
  const Decoding decoded = decode(one_input("\"shape\":" + std::string(shape) + ",\"datatype\":\"" +
                                            std::string(dtype) + "\",\"data\":" + std::string(data)));
  EXPECT_TRUE(decoded.status.ok()) << decoded.status.error().message();
  return decoded.status.ok() ? values_of<T>(decoded.request.inputs.at(0).tensor) : std::vector<T>{};
}

TEST(InferDecoder, ReadsEveryDatatypeFromJson) {
  EXPECT_THAT(data_of<std::uint8_t>("BOOL", "[4]", "[true,false,1,0]"), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(data_of<std::uint8_t>("UINT8", "[2]", "[0,255]"), ElementsAre(0, 255));
  EXPECT_THAT(data_of<std::uint16_t>("UINT16", "[1]", "[65535]"), ElementsAre(65535));
  EXPECT_THAT(data_of<std::uint32_t>("UINT32", "[1]", "[4294967295]"), ElementsAre(4294967295U));
  EXPECT_THAT(data_of<std::uint64_t>("UINT64", "[2]", "[18446744073709551615,1]"), ElementsAre(UINT64_MAX, 1U));
  EXPECT_THAT(data_of<std::int8_t>("INT8", "[2]", "[-128,127]"), ElementsAre(-128, 127));
  EXPECT_THAT(data_of<std::int16_t>("INT16", "[1]", "[-32768]"), ElementsAre(-32768));
  EXPECT_THAT(data_of<std::int32_t>("INT32", "[1]", "[-2147483648]"), ElementsAre(INT32_MIN));
  EXPECT_THAT(data_of<std::int64_t>("INT64", "[1]", "[-9223372036854775808]"), ElementsAre(INT64_MIN));
  EXPECT_THAT(
      data_of<float>("FP32", "[5]", "[1,-0.5,3.4028234e38,1e-45,1e-60]"),
      ElementsAre(1.0F, -0.5F, std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min(), 0.0F));
  EXPECT_THAT(data_of<double>("FP64", "[2]", "[0.1,-1e308]"), ElementsAre(0.1, -1e308));
}

TEST(InferDecoder, RoundsEveryNumberToTheNearest) {
  // Each of these is off by one unit when it is computed as digits times a power of ten.
  EXPECT_THAT(
      data_of<double>("FP64", "[3]", "[9007199254740993.0,1.7976931348623157e308,5e-324]"),
      ElementsAre(9007199254740992.0, std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()));
  EXPECT_THAT(data_of<double>("FP64", "[2]", "[123456789012345680.5e-7,0.30000000000000004]"),
              ElementsAre(123456789012345680.5e-7, 0.30000000000000004));
}

TEST(InferDecoder, ReadsStrings) {
  const Decoding decoded = decode(one_input(R"("shape":[3],"datatype":"BYTES","data":["a\u00e9\n","",["x"]])"));
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.error().message();
  EXPECT_EQ(text_of(decoded.request.inputs[0].tensor.data), "\x4\0\0\0a\xC3\xA9\n\0\0\0\0\x1\0\0\0x"s);
}

TEST(InferDecoder, TakesNestedAndFlatAndEmptyData) {
  EXPECT_THAT(data_of<std::int32_t>("INT32", "[2,2]", "[[1,2],[3,4]]"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(data_of<std::int32_t>("INT32", "[2,2]", " [ 1 , 2 , 3 , 4 ] "), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(data_of<std::int32_t>("INT32", "[0,4]", "[]"), ElementsAre());
  EXPECT_THAT(data_of<std::int32_t>("INT32", "[]", "[7]"), ElementsAre(7));
}

TEST(InferDecoder, TakesFieldsInAnyOrder) {
  for (const std::string_view fields :
       {R"("data":[1,2],"shape":[2],"datatype":"INT32")", R"("data":[1,2],"datatype":"INT32","shape":[2])",
        R"("shape":[2],"data":[1,2],"datatype":"INT32")", R"("datatype":"INT32","data":[1,2],"shape":[2])"}) {
    const Decoding decoded = decode(one_input(fields));
    ASSERT_TRUE(decoded.status.ok()) << decoded.status.error().message();
    EXPECT_THAT(values_of<std::int32_t>(decoded.request.inputs[0].tensor), ElementsAre(1, 2));
  }
  const Decoding text = decode(one_input(R"("data":["a"],"shape":[1],"datatype":"BYTES")"));
  ASSERT_TRUE(text.status.ok());
  EXPECT_EQ(text_of(text.request.inputs[0].tensor.data), "\x1\0\0\0a"s);
  const Decoding real = decode(one_input(R"("data":[0.1,2,true],"shape":[3],"datatype":"FP64")"));
  EXPECT_THAT(real.status.error().message(), HasSubstr("true"));
}

constexpr std::string_view kMixed =
    R"({"id":"x1","parameters":{"priority":2,"timeout":5000,"binary_data_output":true,"mine":"yes"},)"
    R"("inputs":[{"name":"A","shape":[2],"datatype":"INT32","parameters":{"binary_data_size":8}},)"
    R"({"name":"B","shape":[1],"datatype":"FP32","data":[0.5]},)"
    R"({"name":"C","shape":[3],"datatype":"UINT8","parameters":{"binary_data_size":3}}],)"
    R"("outputs":[{"name":"Y","parameters":{"binary_data":false,"classification":3}},{"name":"Z"}],"more":{"a":[1,{"b":null}]}})";

void expect_mixed(const Decoding& decoded) {
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.error().message();
  const InferRequest& request = decoded.request;
  EXPECT_EQ(request.id, "x1");
  EXPECT_EQ(request.priority, 2U);
  EXPECT_EQ(request.timeout, std::chrono::microseconds(5000));
  ASSERT_EQ(request.inputs.size(), 3U);
  EXPECT_EQ(text_of(request.inputs[0].tensor.data), "abcdefgh");
  EXPECT_THAT(values_of<float>(request.inputs[1].tensor), ElementsAre(0.5F));
  EXPECT_EQ(text_of(request.inputs[2].tensor.data), "xyz");
  for (const InputTensor& input : request.inputs) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(input.tensor.data.data()) % 64, 0U);
  }
  EXPECT_THAT(request.outputs, ElementsAre("Y", "Z"));
  EXPECT_EQ(decoded.form.outputs[0].classification, 3U);
  EXPECT_EQ(decoded.form.outputs[0].binary, false);
  EXPECT_EQ(decoded.form.outputs[1].binary, std::nullopt);
  EXPECT_TRUE(decoded.form.binary_output);
}

TEST(InferDecoder, GivesTheSameHoweverTheBytesArrive) {
  const std::string body = std::string(kMixed) + "abcdefghxyz";
  for (std::size_t piece = 0; piece < 40; ++piece) {
    for (const bool in_place : {false, true}) {
      for (const bool length_known : {false, true}) {
        DecodeOptions options;
        options.json_length = kMixed.size();
        options.piece = piece;
        options.read_into_place = in_place;
        options.length_known = length_known;
        expect_mixed(decode(body, options));
      }
    }
  }
}

TEST(InferDecoder, CopiesNothingThatIsReadIntoPlace) {
  const std::string body = std::string(kMixed) + "abcdefghxyz";
  DecodeOptions options;
  options.json_length = kMixed.size();
  options.piece = kMixed.size();
  options.read_into_place = true;
  EXPECT_EQ(decode(body, options).copied, 0U);
  options.piece = kMixed.size() + 5;
  EXPECT_EQ(decode(body, options).copied, 5U);
}

TEST(InferDecoder, ReadsARawTensorIntoItsPlace) {
  DecodeOptions options;
  options.json_length = 0;
  options.read_into_place = true;
  options.piece = 7;
  const std::string body = "sixteen bytes of";
  const Decoding result = decode(body, options);
  ASSERT_TRUE(result.status.ok()) << result.status.error().message();
  EXPECT_EQ(result.copied, 0U);
  const auto data = result.request.inputs.at(0).tensor.data;
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(data.data()), data.size()), body);
}

TEST(InferDecoder, TakesARawTensor) {
  DecodeOptions options;
  options.json_length = 0;
  Decoding decoded = decode("abcdefgh", options);
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.error().message();
  EXPECT_EQ(decoded.request.inputs[0].name, "INPUT0");
  EXPECT_EQ(decoded.request.inputs[0].tensor.shape, (Shape{1, 2}));
  EXPECT_TRUE(decoded.form.binary_output);
  options.length_known = false;
  options.piece = 3;
  EXPECT_EQ(text_of(decode("abcdefgh", options).request.inputs.at(0).tensor.data), "abcdefgh");
  options.signature = {{{"T", DType::kBytes, {1}}}, {}, 0};
  decoded = decode("hello", options);
  ASSERT_TRUE(decoded.status.ok());
  EXPECT_EQ(text_of(decoded.request.inputs[0].tensor.data), "\x5\0\0\0hello"s);
  EXPECT_EQ(decoded.request.inputs[0].tensor.shape, (Shape{1}));
  EXPECT_TRUE(decode("", options).status.ok());
  options.signature = {{{"A", DType::kInt32, {-1, -1}}}, {}, 0};
  EXPECT_THAT(decode("abcd", options).status.error().message(), HasSubstr("at most one dimension"));
  options.signature = {{{"A", DType::kInt32, {1}}, {"B", DType::kInt32, {1}}}, {}, 0};
  EXPECT_THAT(decode("abcd", options).status.error().message(), HasSubstr("one input"));
}

struct BadCase {
  std::string name;
  std::string body;
  std::string message;
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::optional<std::uint64_t> json_length = {};
};
std::ostream& operator<<(std::ostream& out, const BadCase& bad) { return out << bad.name; }

class BadBody : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadBody, GivesOneClearError) {
  const BadCase& bad = GetParam();
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    for (const bool length_known : {true, false}) {
      DecodeOptions options;
      options.json_length = bad.json_length;
      options.piece = piece;
      options.length_known = length_known;
      const Decoding decoded = decode(bad.body, options);
      ASSERT_FALSE(decoded.status.ok());
      EXPECT_EQ(decoded.status.error().code(), bad.code) << decoded.status.error().message();
      EXPECT_THAT(decoded.status.error().message(), HasSubstr(bad.message));
    }
  }
}

std::string json_with(std::string_view fields) {
  return one_input("\"shape\":[1],\"datatype\":\"INT32\"," + std::string(fields));
}
std::string typed(std::string_view dtype, std::string_view data) {
  return one_input("\"shape\":[1],\"datatype\":\"" + std::string(dtype) + "\",\"data\":" + std::string(data));
}
BadCase binary(std::string name, std::string_view json, std::string_view tail, std::string message,
               ErrorCode code = ErrorCode::kInvalidArgument) {
  return {std::move(name), std::string(json) + std::string(tail), std::move(message), code, json.size()};
}

INSTANTIATE_TEST_SUITE_P(
    Json, BadBody,
    ::testing::Values(BadCase{"Empty", "", "malformed JSON"}, BadCase{"Truncated", "{\"inputs\":[", "malformed JSON"},
                      BadCase{"Garbage", "hello", "malformed JSON"}, BadCase{"Array", "[1]", "must be a JSON object"},
                      BadCase{"Number", "1", "must be a JSON object"},
                      BadCase{"String", "\"a\"", "must be a JSON object"},
                      BadCase{"TextBehind", "{} x", "malformed JSON"}, BadCase{"TwoObjects", "{}{}", "malformed JSON"},
                      BadCase{"Comma", "{\"inputs\":[],}", "malformed JSON"},
                      BadCase{"Comment", "{/* */}", "malformed JSON"},
                      BadCase{"Utf8", "{\"id\":\"\xff\"}", "malformed JSON"},
                      BadCase{"ControlCharacter", "{\"id\":\"\n\"}", "malformed JSON"},
                      BadCase{"Brackets", std::string(200'000, '['), "JSON"},
                      BadCase{"BracketsInData", one_input("\"data\":" + std::string(200'000, '[')), "32 levels"},
                      BadCase{"BracketsInUnknown", "{\"x\":" + std::string(200'000, '['), "32 levels"},
                      BadCase{"BracesInUnknown",
                              [] {
                                std::string text;
                                for (int i = 0; i < 1000; ++i) text += "{\"a\":";
                                return text;
                              }(),
                              "32 levels"},
                      BadCase{"NaN", typed("FP32", "[NaN]"), "binary data"},
                      BadCase{"Infinity", typed("FP32", "[Infinity]"), "binary data"},
                      BadCase{"LongNumber", typed("FP64", "[0." + std::string(2000, '1') + "]"), "too long"},
                      BadCase{"LongName", "{\"inputs\":[{\"name\":\"" + std::string(5000, 'x') + "\"}]}", "too long"},
                      BadCase{"LongKey", "{\"" + std::string(5000, 'x') + "\":1}", "malformed JSON"},
                      BadCase{"LongId", "{\"id\":\"" + std::string(5000, 'x') + "\"}", "too long"},
                      BadCase{"IdNumber", "{\"id\":1}", "'id'"}, BadCase{"InputsObject", "{\"inputs\":{}}", "'inputs'"},
                      BadCase{"InputsNumber", "{\"inputs\":1}", "'inputs'"},
                      BadCase{"InputsOfNumbers", "{\"inputs\":[1]}", "'inputs'"},
                      BadCase{"InputsTwice", "{\"inputs\":[],\"inputs\":[]}", "twice"},
                      BadCase{"OutputsOfStrings", "{\"inputs\":[],\"outputs\":[\"a\"]}", "'outputs'"},
                      BadCase{"OutputWithoutName", "{\"inputs\":[],\"outputs\":[{}]}", "'name'"},
                      BadCase{"SameOutputTwice", "{\"inputs\":[],\"outputs\":[{\"name\":\"Y\"},{\"name\":\"Y\"}]}",
                              "more than once"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Fields, BadBody,
    ::testing::Values(
        BadCase{"InputWithoutName", "{\"inputs\":[{}]}", "'name'"},
        BadCase{"NameNumber", "{\"inputs\":[{\"name\":1}]}", "'name'"},
        BadCase{"NameTwice", one_input("\"name\":\"B\""), "twice"},
        BadCase{"SameInputTwice",
                "{\"inputs\":[{\"name\":\"A\",\"shape\":[1],\"datatype\":\"INT32\",\"data\":[1]},"
                "{\"name\":\"A\",\"shape\":[1],\"datatype\":\"INT32\",\"data\":[1]}]}",
                "more than once"},
        BadCase{"ShapeNumber", one_input("\"shape\":1"), "'shape'"},
        BadCase{"ShapeOfStrings", one_input("\"shape\":[\"1\"]"), "'shape'"},
        BadCase{"ShapeNested", one_input("\"shape\":[[1]]"), "'shape'"},
        BadCase{"ShapeReal", one_input("\"shape\":[1.5]"), "'shape'"},
        BadCase{"ShapeNegative", one_input("\"shape\":[-1]"), "negative"},
        BadCase{"ShapeHuge", one_input("\"shape\":[99999999999999999999]"), "'shape'"},
        BadCase{"ShapeOverflow", one_input("\"shape\":[4294967296,4294967296],\"datatype\":\"INT32\",\"data\":[1]"),
                "too large"},
        BadCase{"ShapeRank", one_input("\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "dimensions"},
        BadCase{"ShapeTwice", json_with("\"shape\":[1]"), "twice"},
        BadCase{"DatatypeUnknown", one_input("\"datatype\":\"FP33\""), "FP33"},
        BadCase{"DatatypeNumber", one_input("\"datatype\":7"), "'datatype'"},
        BadCase{"DatatypeTwice", json_with("\"datatype\":\"INT32\""), "twice"},
        BadCase{"NoDatatype", one_input("\"shape\":[1],\"data\":[1]"), "'datatype'"},
        BadCase{"NoShape", one_input("\"datatype\":\"INT32\",\"data\":[1]"), "'shape'"},
        BadCase{"NoData", one_input("\"shape\":[1],\"datatype\":\"INT32\""), "'data'"},
        BadCase{"DataTwice", json_with("\"data\":[1],\"data\":[1]"), "twice"},
        BadCase{"DataNumber", json_with("\"data\":1"), "'data'"},
        BadCase{"DataNull", json_with("\"data\":[null]"), "'data'"},
        BadCase{"DataObject", json_with("\"data\":[{}]"), "'data'"},
        BadCase{"BinaryWithoutHeader", json_with("\"parameters\":{\"binary_data_size\":4}"), ""},
        BadCase{"PriorityNegative", "{\"parameters\":{\"priority\":-1},\"inputs\":[]}", "priority"},
        BadCase{"TimeoutString", "{\"parameters\":{\"timeout\":\"1\"},\"inputs\":[]}", "timeout"},
        BadCase{"ClassificationBool",
                "{\"inputs\":[],\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"classification\":true}}]}",
                "classification"},
        BadCase{"Sequence", "{\"parameters\":{\"sequence_id\":3},\"inputs\":[]}", "sequence_id",
                ErrorCode::kUnsupported},
        BadCase{"RegionUnknown",
                json_with("\"parameters\":{\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":4}"), "'r'",
                ErrorCode::kNotFound},
        BadCase{"RegionWithoutSize", json_with("\"parameters\":{\"shared_memory_region\":\"r\"}"),
                "shared_memory_byte_size"},
        BadCase{"RegionAndData",
                json_with("\"data\":[1],\"parameters\":{\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":4}"),
                "one of"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, BadBody,
    ::testing::Values(
        BadCase{"TooFew", typed("INT32", "[]"), "0 values"}, BadCase{"TooMany", typed("INT32", "[1,2]"), "more values"},
        BadCase{"RealForInteger", typed("INT32", "[1.5]"), "1.5"},
        BadCase{"BoolForInteger", typed("INT32", "[true]"), "true"},
        BadCase{"StringForInteger", typed("INT32", "[\"1\"]"), "string"},
        BadCase{"IntegerForString", typed("BYTES", "[1]"), "number"},
        BadCase{"Uint8Negative", typed("UINT8", "[-1]"), "-1"}, BadCase{"Uint8Large", typed("UINT8", "[256]"), "256"},
        BadCase{"Int8Large", typed("INT8", "[128]"), "128"}, BadCase{"Uint64Negative", typed("UINT64", "[-1]"), "-1"},
        BadCase{"Int64Large", typed("INT64", "[9223372036854775808]"), "9223372036854775808"},
        BadCase{"Uint64Large", typed("UINT64", "[18446744073709551616]"), "18446744073709551616"},
        BadCase{"BoolTwo", typed("BOOL", "[2]"), "2"}, BadCase{"Fp32Large", typed("FP32", "[1e39]"), "1e39"},
        BadCase{"Fp64Large", typed("FP64", "[1e400]"), "1e400"},
        BadCase{"Fp16", typed("FP16", "[1]"), "binary data format"},
        BadCase{"Bf16", typed("BF16", "[1.5]"), "binary data format"},
        BadCase{"Fp16Late", one_input("\"data\":[1],\"shape\":[1],\"datatype\":\"FP16\""), "binary data format"},
        BadCase{"StringsAndNumbers", one_input("\"data\":[\"a\",1],\"shape\":[2],\"datatype\":\"BYTES\""),
                "strings as well"},
        BadCase{"NumbersAndStrings", one_input("\"data\":[1,\"a\"],\"shape\":[2],\"datatype\":\"BYTES\""),
                "strings as well"},
        BadCase{"ManyUntyped",
                [] {
                  std::string list = "[0";
                  for (int i = 0; i < 70'000; ++i) list += ",0";
                  return one_input("\"shape\":[70001],\"data\":" + list + "],\"datatype\":\"INT32\"");
                }(),
                "'datatype' must come before"},
        BadCase{"Larger than the limit", one_input("\"shape\":[1000000000],\"datatype\":\"INT32\",\"data\":[1]"),
                "bytes", ErrorCode::kTooLarge}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::erase(name, ' ');
      return name;
    });

const std::string kFour = json_with("\"parameters\":{\"binary_data_size\":4}");

INSTANTIATE_TEST_SUITE_P(
    Binary, BadBody,
    ::testing::Values(
        binary("TooShort", kFour, "abc", "announce 4 bytes"), binary("TooLong", kFour, "abcde", "announce"),
        binary("SizeNegative", json_with("\"parameters\":{\"binary_data_size\":-4}"), "abcd", "binary_data_size"),
        binary("SizeReal", json_with("\"parameters\":{\"binary_data_size\":4.5}"), "abcd", "binary_data_size"),
        binary("SizeHuge", json_with("\"parameters\":{\"binary_data_size\":18446744073709551615}"), "abcd", "limit",
               ErrorCode::kTooLarge),
        binary("SizeAndData", json_with("\"data\":[1],\"parameters\":{\"binary_data_size\":4}"), "abcd", "one of"),
        binary("BytesWithoutOwner", "{\"inputs\":[]}", "abcd", ""),
        BadCase{"HeaderTooShort", kFour + "abcd", "malformed JSON", ErrorCode::kInvalidArgument, kFour.size() - 1},
        BadCase{"HeaderTooLong", kFour + "abcd", "", ErrorCode::kInvalidArgument, kFour.size() + 4},
        BadCase{"HeaderBeyondTheBody", kFour, "", ErrorCode::kInvalidArgument, kFour.size() + 1},
        BadCase{"HeaderHuge", kFour, "", ErrorCode::kInvalidArgument, UINT64_MAX}),
    [](const auto& info) { return info.param.name; });

TEST(InferDecoder, LeasesNoMoreThanItMayAndChargesIt) {
  DecodeOptions options;
  options.max_bytes = 1 << 20;
  EXPECT_LE(decode(one_input("\"shape\":[1000000000],\"datatype\":\"FP64\",\"data\":[1]"), options).leased,
            std::size_t{4} << 20);
  std::string list = "[0";
  for (int i = 0; i < 50'000; ++i) {
    list += ",0";
  }
  options.quota = 100'000;
  const Decoding decoded = decode(one_input("\"shape\":[50001],\"datatype\":\"FP64\",\"data\":" + list + "]"), options);
  ASSERT_FALSE(decoded.status.ok());
  EXPECT_EQ(decoded.status.error().code(), ErrorCode::kResourceExhausted);
}

TEST(InferDecoder, LimitsTheNumberOfTensors) {
  std::string inputs = "{\"name\":\"A\"}";
  for (std::size_t i = 0; i < kMaxTensorsPerRequest; ++i) {
    inputs += ",{\"name\":\"A\"}";
  }
  EXPECT_THAT(decode("{\"inputs\":[" + inputs + "]}").status.error().message(), HasSubstr("1024 inputs"));
  EXPECT_THAT(decode("{\"outputs\":[" + inputs + "]}").status.error().message(), HasSubstr("1024 outputs"));
}

TEST(InferDecoder, ReadsFromSharedMemory) {
  const std::string key = "/tessera_decoder_test_" + std::to_string(::getpid());
  const int fd = ::shm_open(key.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, "abcdefgh", 8), 8);
  ::close(fd);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("r", key, 0, 8).ok());
  ::shm_unlink(key.c_str());
  const auto from = [&memory](std::string_view parameters) {
    return decode(json_with("\"parameters\":{\"shared_memory_region\":\"r\"," + std::string(parameters) + "}"), {},
                  &memory);
  };
  const Decoding decoded = from("\"shared_memory_offset\":4,\"shared_memory_byte_size\":4");
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.error().message();
  memory.unregister_all();  // the request keeps what it uses
  EXPECT_EQ(text_of(decoded.request.inputs[0].tensor.data), "efgh");
  EXPECT_EQ(from("\"shared_memory_byte_size\":4").status.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tessera::server::http
