#include "server/http/body/control_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::server::http {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

TEST(ControlBody, ReadsWhatAnIndexAsksFor) {
  EXPECT_FALSE(*index_ready_only(""));
  EXPECT_FALSE(*index_ready_only(" {} "));
  EXPECT_TRUE(*index_ready_only("{\"ready\":true}"));
  for (const std::string_view bad : {"{\"ready\":1}", "[]", "{", "{}{}", "tru"}) {
    const auto parsed = index_ready_only(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST(ControlBody, ReadsARegion) {
  const auto region = register_body(R"({"key":"/k","offset":3,"byte_size":18446744073709551615})");
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region->key, "/k");
  EXPECT_EQ(region->offset, 3U);
  EXPECT_EQ(region->byte_size, UINT64_MAX);
  EXPECT_EQ(register_body(R"({"key":"/k","byte_size":1})")->offset, 0U);
  for (const std::string_view bad :
       {"", R"({"byte_size":1})", R"({"key":1,"byte_size":1})", R"({"key":"/k"})", R"({"key":"/k","byte_size":-1})",
        R"({"key":"/k","byte_size":1.5})", R"({"key":"/k","byte_size":1,"offset":"0"})"}) {
    EXPECT_FALSE(register_body(bad).ok()) << bad;
  }
}

TEST(ControlBody, ReadsChangesOfParameters) {
  const auto changes = params_body(R"({"slo_ms":0.5,"weight":2,"reserved_lend":false,"slo_policy":"reject"})");
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(*changes, (model::ParamChanges{
                          {"slo_ms", "0.5"}, {"weight", "2"}, {"reserved_lend", "false"}, {"slo_policy", "reject"}}));
  EXPECT_EQ(*params_body(R"({"slo_ms":null})"), (model::ParamChanges{{"slo_ms", std::nullopt}}));
  EXPECT_EQ(params_body(R"({"slo_ms":[5]})").error().message(),
            "slo_ms: must be a number, true, false, a string or null");
  std::string many = "{\"p\":1";
  for (std::size_t i = 0; i < kMaxChangedParams; ++i) {
    many += ",\"p" + std::to_string(i) + "\":1";
  }
  for (const std::string& bad : {std::string(), std::string("{}"), std::string("[]"), many + "}"}) {
    EXPECT_EQ(params_body(bad).error().code(), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(ControlBody, NamesADevice) {
  EXPECT_EQ(*device_body(R"({"add":"cuda:1"})"), "cuda:1");
  EXPECT_THAT(device_body(R"({"remove":"cuda:1"})").error().message(), HasSubstr("unknown field 'remove'"));
  for (const std::string& bad : {std::string(), std::string("{}"), std::string(R"({"add":1})"), std::string("[]"),
                                 R"({"add":")" + std::string(kMaxDeviceText + 1, 'x') + R"("})"}) {
    EXPECT_FALSE(device_body(bad).ok()) << bad;
  }
}

TEST(ControlBody, ReadsAPolicy) {
  EXPECT_EQ(*policy_body(R"({"policy":"temporal:triton=1"})"), "temporal:triton=1");
  EXPECT_THAT(policy_body(R"({"policy":"fixed","share":1})").error().message(), HasSubstr("unknown field 'share'"));
  for (const std::string& bad : {std::string(), std::string("{}"), std::string(R"({"policy":1})"),
                                 "{\"policy\":\"" + std::string(kMaxPolicyText + 1, 'x') + "\"}"}) {
    EXPECT_FALSE(policy_body(bad).ok()) << bad;
  }
}

TEST(ControlBody, ReadsALoad) {
  const auto plain = load_body("m", "");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->name, "m");
  EXPECT_FALSE(plain->config_json.has_value());
  const auto full = load_body("m", R"({"parameters":{"config":"{}","file:1/model.onnx":"AAEC/w=="}})");
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->config_json, "{}");
  EXPECT_EQ(full->files.at("1/model.onnx"), "\0\1\2\xff"s);
  for (const auto& [bad, message] :
       {std::pair{R"({"parameters":{"file:1/model.onnx":"AAEC"}})", "'config'"},
        std::pair{R"({"parameters":{"config":{}}})", "string"},
        std::pair{R"({"parameters":{"config":"","file:x":"A"}})", "base64"},
        std::pair{R"({"parameters":{"confg":""}})", "confg"}, std::pair{R"({"parameters":[]})", "object"}}) {
    const auto parsed = load_body("m", bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_THAT(parsed.error().message(), HasSubstr(message));
  }
}

TEST(ControlBody, BoundsWhatADocumentTakes) {
  const auto deep = unload_body("{\"a\":" + std::string(200'000, '['));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().code(), ErrorCode::kInvalidArgument);
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 1'000'000; ++i) {
    many += ",0";
  }
  const auto wide = unload_body(many + "]}");
  ASSERT_FALSE(wide.ok());
  EXPECT_EQ(wide.error().code(), ErrorCode::kTooLarge);
}

TEST(ControlBody, DecodesBase64Strictly) {
  std::string bytes;
  EXPECT_TRUE(decode_base64("", bytes));
  EXPECT_TRUE(decode_base64("Zm9v", bytes));
  EXPECT_EQ(bytes, "foo");
  EXPECT_TRUE(decode_base64("Zm8=", bytes));
  EXPECT_EQ(bytes, "fo");
  for (const std::string_view bad : {"Zg", "Zg=", "Z===", "Zm9v Zm9v", "Zm=v", "Zg==Zg==", "____"}) {
    EXPECT_FALSE(decode_base64(bad, bytes)) << bad;
  }
}

}  // namespace
}  // namespace tessera::server::http
