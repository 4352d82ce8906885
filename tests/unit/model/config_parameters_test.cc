#include <gtest/gtest.h>

#include "tests/unit/model/config_support.h"

namespace tessera::model {
namespace {

std::string parameter(const std::string& key, const std::string& value) {
  return "parameters { key: \"" + key + "\" value { string_value: \"" + value + "\" } } ";
}

TEST(Parameters, AreRead) {
  const auto config = complete_text(parameter("slo_ms", "12.5") + parameter("weight", "3") +
                                    parameter("reserved_share", "0.25") + parameter("max_share", "0.5") +
                                    parameter("memory_limit_mb", "64") + parameter("engine", "onnxruntime") +
                                    parameter("determinism", "off") + parameter("slo_policy", "best_effort") +
                                    parameter("reserved_lend", "false") + parameter("evictable", "true"));
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->params.slo, Duration(12'500'000));
  EXPECT_EQ(config->params.weight, 3);
  EXPECT_EQ(config->params.reserved_share, 0.25);
  EXPECT_EQ(config->params.max_share, 0.5);
  EXPECT_EQ(config->memory_limit, Bytes{std::uint64_t{64} << 20});
  EXPECT_EQ(config->params.slo_policy, sched::SloPolicy::kBestEffort);
  EXPECT_FALSE(config->params.reserved_lend);
  EXPECT_TRUE(config->evictable);
}

TEST(Parameters, DeterminismOfBatchesLeavesOneSize) {
  const std::vector<std::int32_t> all = complete_text("")->params.buckets;
  ASSERT_GT(all.size(), 1U);
  for (const std::string value : {"off", "slice"}) {
    const auto config = complete_text(parameter("determinism", value));
    ASSERT_TRUE(config.ok()) << config.error().message();
    EXPECT_EQ(config->determinism, value);
    EXPECT_EQ(config->params.buckets, all);
  }
  const auto config = complete_text(parameter("determinism", "batch"));
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->params.buckets, (std::vector{all.back()}));
}

TEST(Parameters, RangesAreChecked) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> bad{
      {"slo_ms", {"", "0", "-1", "nan", "inf", "1e99", "3600001", "5ms", " 5", "0x10", "5 "}},
      {"weight", {"0", "-2", "nan", "1e7", "heavy"}},
      {"reserved_share", {"-0.1", "1.01", "nan", "all"}},
      {"max_share", {"0", "1.5", "-1", "nan"}},
      {"memory_limit_mb", {"0", "-5", "1e12", "nan", "1GB"}},
      {"determinism", {"on", ""}},
      {"slo_policy", {"drop", ""}},
      {"reserved_lend", {"maybe", ""}},
      {"evictable", {"yes", "TRUE", "", "2"}},
  };
  for (const auto& [key, values] : bad) {
    for (const std::string& value : values) {
      const std::string error = error_of(parameter(key, value) + (key == "slo_ms" ? "" : parameter("slo_ms", "5")));
      EXPECT_EQ(error.rfind("invalid argument: parameters." + key + ": ", 0), 0U) << key << "=" << value << error;
    }
  }
}

TEST(Parameters, WhatThisBuildDoesNotDoIsRefused) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"engine", "cudnn"}, {"intra_op_thread_count", "4"}, {"execution_mode", "1"}, {"gpu_mem_limit", "1"}}) {
    const std::string error = error_of(parameter(key, value));
    EXPECT_EQ(error.rfind("unsupported: parameters." + key + ": ", 0), 0U) << key << ": " << error;
  }
  EXPECT_EQ(error_of(parameter("intra_op_thread_count", "0") + parameter("enable_mem_arena", "1")), "");
}

TEST(Parameters, TheOnesOfUsersAreKeptAndSlipsAreNot) {
  const auto config = complete_text(parameter("owner", "vision team") + parameter("x", "") + parameter("rate", "3"));
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_NE(config_json(*config->proto).find(R"("owner":{"string_value":"vision team"})"), std::string::npos);
  for (const auto& [slip, meant] :
       std::vector<std::pair<std::string, std::string>>{{"slo-ms", "slo_ms"},
                                                        {"SLO_MS", "slo_ms"},
                                                        {"slo", "slo_ms"},
                                                        {"wieght", "weight"},
                                                        {"reserve_share", "reserved_share"},
                                                        {"maxshare", "max_share"},
                                                        {"memory_limit_mbs", "memory_limit_mb"},
                                                        {"slo_polcy", "slo_policy"},
                                                        {"determinsm", "determinism"}}) {
    EXPECT_EQ(error_of(parameter(slip, "1")),
              "invalid argument: parameters." + slip + ": unknown; is '" + meant + "' meant?");
  }
}

TEST(Parameters, DependOnOneAnother) {
  EXPECT_NE(error_of(parameter("slo_policy", "reject")), "");
  EXPECT_EQ(error_of(parameter("slo_policy", "reject") + parameter("slo_ms", "3")), "");
  EXPECT_NE(error_of(parameter("reserved_share", "0.5") + parameter("max_share", "0.25")), "");
  ConfigDefaults with_slo = host_defaults();
  with_slo.slo = std::chrono::milliseconds(40);
  EXPECT_EQ(complete_text("", batched_file(), with_slo)->params.slo, Duration(std::chrono::milliseconds(40)));
  EXPECT_EQ(complete_text(parameter("slo_ms", "3"), batched_file(), with_slo)->params.slo,
            Duration(std::chrono::milliseconds(3)));
  EXPECT_EQ(error_of(parameter("slo_policy", "reject"), batched_file(), with_slo), "");
}

}  // namespace
}  // namespace tessera::model
