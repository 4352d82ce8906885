#include <gtest/gtest.h>

#include "model/config.h"
#include "model/utf8.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

std::string text_error(std::string_view text) {
  const auto written = parse_config_text(text);
  return written.ok() ? "" : std::string(to_string(written.error().code())) + ": " + written.error().message();
}

std::string json_error(std::string_view json) {
  const auto written = parse_config_json(json);
  return written.ok() ? "" : std::string(to_string(written.error().code())) + ": " + written.error().message();
}

TEST(ConfigText, ErrorsNameLineAndField) {
  EXPECT_EQ(text_error("name: \"m\"\nmax_batch_size: many\n"),
            "invalid argument: config line 2, field 'max_batch_size': Expected integer, got: many");
  EXPECT_EQ(text_error("name: \"m\"\ninput {\n  dims: [ 1,\n x ]\n}"),
            "invalid argument: config line 4, field 'dims': Expected integer, got: x");
  const std::string unknown = text_error("# a comment: here\nmax_batchsize: 8\n");
  EXPECT_NE(unknown.find("config line 2, field 'max_batchsize'"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("no field named \"max_batchsize\""), std::string::npos) << unknown;
  const std::string twice = text_error("max_batch_size: 1\nmax_batch_size: 2");
  EXPECT_NE(twice.find("config line 2, field 'max_batch_size'"), std::string::npos) << twice;
  const std::string range = text_error("max_batch_size: 99999999999");
  EXPECT_NE(range.find("config line 1, field 'max_batch_size': Integer out of range"), std::string::npos) << range;
  EXPECT_NE(text_error("input {").find("config line 1"), std::string::npos);
  EXPECT_NE(text_error("dynamic_batching { } sequence_batching { }").find("oneof"), std::string::npos);
}

TEST(ConfigText, BoundsSizeAndDepth) {
  EXPECT_TRUE(parse_config_text(std::string(kMaxConfigBytes, ' ')).ok());
  EXPECT_EQ(parse_config_text(std::string(kMaxConfigBytes + 1, ' ')).error().code(), ErrorCode::kTooLarge);
  std::string deep;
  while (deep.size() < 200'000) deep += "input{";
  EXPECT_FALSE(parse_config_text(deep).ok());
  EXPECT_FALSE(parse_config_text(std::string(200'000, '{')).ok());
  EXPECT_FALSE(parse_config_text(std::string(200'000, '[')).ok());
}

TEST(ConfigText, RefusesBytesThatAreNoText) {
  EXPECT_EQ(text_error("name: \"\xff\""), "invalid argument: config is no UTF-8 text");
  EXPECT_EQ(text_error("name: \"\\377\""), "invalid argument: config field 'name' is no UTF-8 text");
  EXPECT_EQ(text_error("parameters { key: \"a\" value { string_value: \"\\300\" } }"),
            "invalid argument: config field 'parameters.value.string_value' is no UTF-8 text");
  EXPECT_FALSE(parse_config_text(std::string_view("name\0: 3", 8)).ok());
}

TEST(ConfigText, KnowsWhetherABatchSizeStandsThere) {
  EXPECT_FALSE(parse_config_text("name: \"m\"")->says_batch_size);
  EXPECT_TRUE(parse_config_text("max_batch_size: 0")->says_batch_size);
  EXPECT_FALSE(parse_config_json(R"({"name":"m"})")->says_batch_size);
  EXPECT_TRUE(parse_config_json(R"({"max_batch_size":0})")->says_batch_size);
  EXPECT_TRUE(parse_config_json(R"({"maxBatchSize":0})")->says_batch_size);
}

TEST(ConfigJson, ReadsNumbersOfEitherForm) {
  const auto written = parse_config_json(
      R"({"input":[{"name":"x","data_type":"TYPE_FP32","dims":[-1,"16"]}],"dynamic_batching":{"max_queue_delay_microseconds":5}})");
  ASSERT_TRUE(written.ok()) << written.error().message();
  EXPECT_EQ(written->proto->input(0).dims(1), 16);
  EXPECT_EQ(written->proto->dynamic_batching().max_queue_delay_microseconds(), 5U);
}

TEST(ConfigJson, RefusesWhatIsMalformed) {
  EXPECT_NE(json_error("{\"name\":\n\"m\",}").find("config line 2"), std::string::npos);
  EXPECT_NE(json_error(R"({"name":"m"} x)").find("config line 1"), std::string::npos);
  EXPECT_EQ(json_error("[1]"), "invalid argument: config is not a JSON object");
  EXPECT_NE(json_error(""), "");
  EXPECT_NE(json_error(R"({"max_batch_size":"many"})").find("max_batch_size"), std::string::npos);
  EXPECT_NE(json_error(R"({"max_batch_size":1e40})"), "");
  EXPECT_NE(json_error(R"({"no_such_field":1})").find("no_such_field"), std::string::npos);
  EXPECT_NE(json_error(R"({"platform":7.5})"), "");
  EXPECT_FALSE(parse_config_json(std::string(200'000, '[')).ok());
  EXPECT_FALSE(parse_config_json("{\"a\":" + std::string(200'000, '[')).ok());
  EXPECT_EQ(parse_config_json(std::string(kMaxConfigBytes + 1, ' ')).error().code(), ErrorCode::kTooLarge);
}

TEST(Utf8, FollowsTheRfc) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3\x28", "\xFF"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

}  // namespace
}  // namespace tessera::model
