#include "base/log.h"

#include <string>

#include <gtest/gtest.h>

namespace tessera {
namespace {

std::string logged(LogFormat format, LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields = {}) {
  set_up_log(format, LogLevel::kInfo);
  testing::internal::CaptureStderr();
  log(level, message, fields);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, TextCarriesLevelMessageAndFields) {
  const std::string line = logged(LogFormat::kText, LogLevel::kWarning, "model loaded",
                                  {{"model", std::string("ocr")}, {"ms", 1.5}, {"rows", std::int64_t{8}}});
  EXPECT_NE(line.find("Z warning model loaded model=ocr ms=1.5 rows=8\n"), std::string::npos) << line;
}

TEST(Log, JsonIsOneObjectALine) {
  const std::string line =
      logged(LogFormat::kJson, LogLevel::kError, "failed", {{"reason", std::string("a \"b\"")}, {"x", 0.0 / 0.0}});
  EXPECT_EQ(line.find("{\"time\":\""), 0U) << line;
  EXPECT_NE(line.find("\"level\":\"error\",\"message\":\"failed\",\"reason\":\"a \\\"b\\\"\",\"x\":null}\n"),
            std::string::npos)
      << line;
}

TEST(Log, WhatAPeerSentCannotForgeALine) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = logged(format, LogLevel::kInfo, "refused", {{"name", std::string("a\nerror b\xff")}});
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    EXPECT_NE(line.find("a\\u000aerror b\\ufffd"), std::string::npos) << line;
  }
}

TEST(Log, BelowTheLevelNothingIsPrinted) {
  EXPECT_EQ(logged(LogFormat::kText, LogLevel::kDebug, "detail"), "");
  EXPECT_EQ(logged(LogFormat::kJson, LogLevel::kDebug, "detail"), "");
}

}  // namespace
}  // namespace tessera
