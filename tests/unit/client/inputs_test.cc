// Requests made from a model's metadata, and addresses as users write them.
#include "client/inputs.h"

#include <gtest/gtest.h>

#include "client/endpoint.h"

namespace tessera::client {
namespace {

ModelFacts image() { return {"m", {{"IN", DType::kFp32, {-1, 3, -1, -1}}, {"N", DType::kInt64, {-1, 1}}}}; }

ShapeChoice shape(const std::string& text) { return parse_shape_choice(text).value(); }

TEST(Inputs, FreeDimensionsAreRowsOnesOrChosen) {
  const auto plain = make_inputs(image(), {}, 2, 1);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->at(0).shape, (Shape{2, 3, 1, 1}));
  EXPECT_EQ(plain->at(1).bytes.size(), 16U);
  EXPECT_EQ(make_inputs(image(), {shape("IN:3,4,5")}, 2, 1)->at(0).shape, (Shape{2, 3, 4, 5}));
  EXPECT_EQ(make_inputs(image(), {shape("m/IN:7,3,4,5")}, 1, 1)->at(0).shape, (Shape{7, 3, 4, 5}));
  EXPECT_EQ(make_inputs(image(), {shape("other/IN:7,3,4,5")}, 1, 1)->at(0).shape, (Shape{1, 3, 1, 1}));
  EXPECT_FALSE(make_inputs(image(), {shape("IN:4,4,5")}, 1, 1).ok());
  EXPECT_FALSE(make_inputs(image(), {shape("IN:4")}, 1, 1).ok());
  EXPECT_FALSE(make_inputs({"m", {{"IN", DType::kFp32, {4}}}}, {}, 2, 1).ok());
  EXPECT_EQ(make_inputs({"m", {{"IN", DType::kFp32, {1 << 20, 65}}}}, {}, 1, 1).error().code(), ErrorCode::kTooLarge);
}

TEST(Inputs, ValuesFitTheirTypeAndComeFromTheSeed) {
  const auto bytes = [](DType dtype, std::uint64_t seed) {
    return make_inputs({"m", {{"IN", dtype, {64}}}}, {}, 1, seed).value().at(0).bytes;
  };
  for (const DType dtype : {DType::kBool, DType::kUint8, DType::kInt16, DType::kInt64, DType::kFp16, DType::kBf16,
                            DType::kFp32, DType::kFp64}) {
    EXPECT_EQ(bytes(dtype, 1).size(), 64 * size_of(dtype));
    EXPECT_EQ(bytes(dtype, 1), bytes(dtype, 1));
    EXPECT_NE(bytes(dtype, 1), bytes(dtype, 2));
  }
  const auto whole = bytes(DType::kInt64, 3);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_LE(static_cast<int>(whole[i]), i % 8 == 0 ? 1 : 0);
  }
  const auto half = bytes(DType::kFp16, 3);
  for (std::size_t i = 1; i < half.size(); i += 2) {
    EXPECT_EQ(static_cast<int>(half[i]) & 0xfc, 0x38);  // 0.5 to 1
  }
  EXPECT_TRUE(check_bytes_tensor(bytes(DType::kBytes, 1), 64).ok());
}

TEST(Inputs, ShapesOnTheCommandLine) {
  EXPECT_EQ(shape("a:0:1,2").input, "a:0");
  EXPECT_EQ(shape("a:1,2").shape, (Shape{1, 2}));
  for (const char* bad : {"", ":1", "a", "a:", "a:1,", "a:-1", "a:1x", "a:1,,2", "a:99999999999999999999"}) {
    EXPECT_FALSE(parse_shape_choice(bad).ok()) << bad;
  }
}

TEST(Endpoint, AsUsersWriteIt) {
  const auto is = [](const char* url) {
    const auto made = parse_endpoint(url);
    return made.ok() ? (made->protocol == Endpoint::Protocol::kGrpc ? "grpc " : "http ") + made->address() + made->path
                     : std::string("none");
  };
  EXPECT_EQ(is("localhost"), "http localhost:8000");
  EXPECT_EQ(is("http://10.0.0.1:80/"), "http 10.0.0.1:80");
  EXPECT_EQ(is("http://a/b/c/"), "http a:8000/b/c");
  EXPECT_EQ(is("grpc://a"), "grpc a:8001");
  EXPECT_EQ(is("http://[::1]:9"), "http [::1]:9");
  EXPECT_EQ(is("[::1]"), "http [::1]:8000");
  for (const char* bad :
       {"", "http://", "https://a", "a:0", "a:", "a:b", "a:65536", "[::1", "http://u@a", "a b", "a?b"}) {
    EXPECT_EQ(is(bad), "none") << bad;
  }
}

}  // namespace
}  // namespace tessera::client
