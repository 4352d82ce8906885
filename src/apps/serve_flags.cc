#include "apps/serve_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "apps/core_list.h"
#include "sched/policy.h"

namespace tessera::apps {
namespace {

// Where profiles and optimised models are kept unless told otherwise; nowhere for a user without a home.
std::string default_cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return std::string(cache) + "/tessera";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return std::string(home) + "/.cache/tessera";
  }
  return {};
}

// What --policy takes, in lines as wide as the rest of the help.
std::string policies_in_words() {
  constexpr std::size_t kWidth = 44;
  std::string out;
  for (const sched::KnownPolicy& known : sched::known_policies()) {
    std::string text(known.name);
    text += known.options.empty() ? "" : " or " + text + ":" + std::string(known.options);
    text += ": " + std::string(known.help) + (out.empty() ? " (the default)" : "");
    out += out.empty() ? "" : "\n";
    for (std::size_t column = 0; !text.empty();) {
      const std::size_t word = std::min(text.find(' '), text.size());
      if (column > 0) {
        out += column + 1 + word > kWidth ? "\n  " : " ";
        column = column + 1 + word > kWidth ? 2 : column + 1;
      }
      out += text.substr(0, word);
      column += word;
      text.erase(0, word + 1);
    }
  }
  return out;
}

// A flag that takes a whole number from `least` to `most`.
template <typename Take>
void number_flag(CLI::App& command, const std::string& name, const std::string& type, int least, int most, Take take,
                 const std::string& help) {
  command.add_option_function<int>(name, take, help)->type_name(type)->check(CLI::Range(least, most).description(""));
}

void seconds_flag(CLI::App& command, const std::string& name, std::chrono::seconds& value, int least,
                  const std::string& help) {
  number_flag(
      command, name, "SECS", least, 1'000'000, [&value](int given) { value = std::chrono::seconds(given); },
      help + " (" + std::to_string(value.count()) + ")");
}

void count_flag(CLI::App& command, const std::string& name, std::size_t& value, int most, const std::string& help) {
  number_flag(
      command, name, "N", 1, most, [&value](int given) { value = static_cast<std::size_t>(given); }, help);
}

// A flag that takes one of some words, which are its help unless another is given.
template <typename T>
void word_flag(CLI::App& command, const std::string& name, const std::string& type, T& value,
               const std::vector<std::pair<std::string, T>>& words, const std::string& help = {}) {
  std::string known;
  std::string standard;
  for (const auto& [text, meaning] : words) {
    known += (known.empty() ? "" : " | ") + text;
    if (meaning == value) standard = text;
  }
  const auto take = [&value, name, words, known](const std::string& given) {
    for (const auto& [text, meaning] : words) {
      if (text != given) continue;
      value = meaning;
      return;
    }
    throw CLI::ValidationError(name, "'" + given + "' is none of " + known);
  };
  command.add_option_function<std::string>(name, take, (help.empty() ? known : help) + " (" + standard + ")")
      ->type_name(type);
}

void truth(CLI::App& command, const std::string& name, bool& value, const std::string& help) {
  const std::vector<std::pair<std::string, bool>> words{{"true", true}, {"false", false}};
  word_flag<bool>(command, name, "BOOL", value, words, help);
}

void cores(CLI::App& command, const std::string& name, std::vector<int>& value, const std::string& help) {
  const auto take = [&value, name](const std::string& text) {
    auto list = parse_core_list(text);
    if (!list.ok()) throw CLI::ValidationError(name, list.error().message());
    value = std::move(*list);
  };
  command.add_option_function<std::string>(name, take, help)->type_name("LIST");
}

// A flag that may be given again and again, each time with one value.
template <typename T>
CLI::Option* repeatable(CLI::App& command, const std::string& name, const std::string& type, std::vector<T>& value,
                        const std::string& help) {
  return command.add_option(name, value, help)
      ->type_name(type)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_listener(CLI::App& command, const std::string& kind, ListenOptions& value) {
  command.add_option("--" + kind + "-address", value.address, "(" + value.address + ")")->type_name("IP");
  number_flag(
      command, "--" + kind + "-port", "PORT", 0, 65535,
      [&value](int given) { value.port = static_cast<std::uint16_t>(given); },
      "0: any free one (" + std::to_string(value.port) + ")");
}

CLI::Option* add_repositories(CLI::App& command, ServeOptions& options) {
  return repeatable(command, "--model-repository,--model-store", "PATH", options.repositories,
                    "folder of models; may be given repeatedly")
      ->check(CLI::ExistingDirectory.description(""));
}

void add_cache(CLI::App& command, ServeOptions& options) {
  options.cache_dir = default_cache_dir();
  command.add_option("--cache-dir", options.cache_dir, "profiles, '' for none (~/.cache/tessera)")->type_name("PATH");
}

void add_models(CLI::App& command, ServeOptions& options) {
  add_repositories(command, options)->required();
  word_flag<model::ControlMode>(command, "--model-control-mode", "MODE", options.control,
                                {{"none", model::ControlMode::kNone},
                                 {"poll", model::ControlMode::kPoll},
                                 {"explicit", model::ControlMode::kExplicit}});
  repeatable(command, "--load-model", "NAME", options.load_models, "explicit mode: load at start, * for all");
  seconds_flag(command, "--repository-poll-secs", options.poll_interval, 1, "poll mode: between two looks");
  truth(command, "--exit-on-error", options.exit_on_error, "end when a load at start fails");
  truth(command, "--strict-readiness", options.strict_readiness, "not ready while a model is missing");
  add_cache(command, options);
}

void add_scheduling(CLI::App& command, ServeOptions& options) {
  const auto take_device = [&options](const std::string& text) {
    auto choice = parse_device(text);
    if (!choice.ok()) throw CLI::ValidationError("--device", choice.error().message());
    choice->completion = options.device.completion;  // another flag's, which may come before
    options.device = std::move(*choice);
  };
  command
      .add_option_function<std::string>("--device", take_device,
                                        "host | auto | cuda:N (auto: the first GPU,\n"
                                        "where there is one; cuda:0/0-7: its first\n"
                                        "eight atoms; cuda:0,cuda:1: both;\n"
                                        "host/0-3,host/4-7: cores as two devices)")
      ->type_name("KIND");
  word_flag<CompletionMode>(
      command, "--completion", "MODE", options.device.completion,
      {{"auto", CompletionMode::kAuto}, {"spin", CompletionMode::kSpin}, {"low-power", CompletionMode::kLowPower}},
      "a GPU's polling thread: auto | spin |\nlow-power (auto: spin from 3 cores)");
  cores(command, "--host-cores", options.host_cores, "processors to compute on: 0,2-5 (all)");
  const auto take_policy = [&options](const std::string& name) {
    if (const auto made = sched::make_policy(name); !made.ok()) {
      throw CLI::ValidationError("--policy", made.error().message());
    }
    options.policy = name;
  };
  command.add_option_function<std::string>("--policy", take_policy, policies_in_words())->type_name("NAME");
  const auto take_slo = [&options](double ms) { options.default_slo = std::chrono::duration<double, std::milli>(ms); };
  command.add_option_function<double>("--default-slo-ms", take_slo, "objective of models without one (unset)")
      ->type_name("MS")
      ->check(CLI::Range(0.001, 1e9).description(""));
  count_flag(command, "--max-waiting", options.max_waiting, 1'000'000, "requests in all queues (65536)");
  command
      .add_option("--record", options.record, "file for all that is decided, 1 GiB at\nmost: tessera simulate --replay")
      ->type_name("FILE");
}

void add_limits(CLI::App& command, ServeOptions& options) {
  number_flag(
      command, "--max-body-mb", "MB", 1, 1024,
      [&options](int mb) { options.max_body = Bytes{static_cast<std::uint64_t>(mb) << 20}; },
      "largest request, HTTP and gRPC (64)");
  count_flag(command, "--http-max-connections", options.max_connections, 1'000'000, "further ones are refused (16384)");
  seconds_flag(command, "--http-header-timeout-secs", options.header_time, 1, "for a request's head");
  seconds_flag(command, "--http-body-timeout-secs", options.body_time, 1, "for a request's body or gRPC message");
  seconds_flag(command, "--http-idle-timeout-secs", options.idle_time, 1, "between requests");
  count_flag(command, "--io-threads", options.io_threads, 256, "for HTTP (one per io core, at most 8)");
  count_flag(command, "--grpc-threads", options.grpc_threads, 256, "(one for four io cores, 1 to 16)");
  cores(command, "--io-cores", options.io_cores, "where these run (as --host-cores)");
  seconds_flag(command, "--exit-timeout-secs", options.exit_timeout, 0, "SIGTERM: wait for running requests");
  seconds_flag(command, "--stuck-exit-secs", options.stuck_exit, 0, "end after a batch that does not");
}

void add_log(CLI::App& command, ServeOptions& options) {
  word_flag<LogFormat>(command, "--log-format", "FORM", options.log_format,
                       {{"text", LogFormat::kText}, {"json", LogFormat::kJson}});
  word_flag<LogLevel>(command, "--log-level", "LEVEL", options.log_level,
                      {{"debug", LogLevel::kDebug},
                       {"info", LogLevel::kInfo},
                       {"warning", LogLevel::kWarning},
                       {"error", LogLevel::kError}});
}

// What would have no effect in the mode chosen is probably a slip.
void refuse_idle_flags(const CLI::App& command, const ServeOptions& options) {
  const auto only_in = [&](const std::string& flag, model::ControlMode mode, const std::string& name) {
    if (command.count(flag) > 0 && options.control != mode) {
      throw CLI::ValidationError(flag, "needs --model-control-mode " + name);
    }
  };
  only_in("--load-model", model::ControlMode::kExplicit, "explicit");
  only_in("--repository-poll-secs", model::ControlMode::kPoll, "poll");
}

}  // namespace

void add_serve_flags(CLI::App& command, ServeOptions& options) {
  // Given twice, the last one counts, so that scripts can add to a command line.
  command.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  command.option_defaults()->group("Models");
  add_models(command, options);
  command.option_defaults()->group("Scheduling");
  add_scheduling(command, options);
  command.option_defaults()->group("Addresses (loopback unless told otherwise)");
  add_listener(command, "http", options.http);
  add_listener(command, "grpc", options.grpc);
  add_listener(command, "metrics", options.metrics);
  command.option_defaults()->group("Connections and limits");
  add_limits(command, options);
  command.option_defaults()->group("Log (on standard error)");
  add_log(command, options);
  command.callback([&command, &options] { refuse_idle_flags(command, options); });
}

void add_service_flags(CLI::App& command, ServeOptions& options) {
  add_repositories(command, options);
  add_cache(command, options);
  add_scheduling(command, options);
}

}  // namespace tessera::apps
