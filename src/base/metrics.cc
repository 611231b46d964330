#include "base/metrics.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <variant>

#include "base/check.h"

namespace paceline {
namespace {

// The cutoffs of Vitess's timings, in nanoseconds.
const std::vector<int64_t>& TimingCutoffs() {
  static const std::vector<int64_t> cutoffs = {
      500'000,     1'000'000,   5'000'000,     10'000'000,    50'000'000,
      100'000'000, 500'000'000, 1'000'000'000, 5'000'000'000, 10'000'000'000};
  return cutoffs;
}

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsNameByte(char c) { return IsLower(c) || IsUpper(c) || (c >= '0' && c <= '9') || c == '_'; }

// The length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool no_character = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return too_long || no_character ? 0 : length;
}

// Escapes for Prometheus: backslash and newline everywhere, quotes in label values.
std::string PrometheusEscape(std::string_view text, bool quotes) {
  std::string out;
  while (!text.empty()) {
    const char c = text[0];
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else if (const size_t length = Utf8Length(text); length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    } else {
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(1);
  }
  return out;
}

// {a="x",b="y"} with `more` ('le="5"') at the end; empty without labels.
std::string LabelText(const std::vector<std::string>& labels,
                      const std::vector<std::string>& values, std::string_view more = {}) {
  std::string out;
  for (size_t i = 0; i < labels.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{}=\"{}\"", out.empty() ? "" : ",",
                   PrometheusName(labels[i]), PrometheusEscape(values[i], true));
  }
  if (!more.empty()) {
    if (!out.empty()) out += ',';
    out += more;
  }
  return out.empty() ? out : '{' + out + '}';
}

// Label values as Vitess joins them: '.' inside one is replaced, so that keys split again.
std::string JoinedKey(const std::vector<std::string>& values) {
  std::string key;
  for (const std::string& value : values) {
    if (&value != values.data()) key += '.';
    for (const char c : value) key += c == '.' ? '_' : c;
  }
  return key;
}

void PrintHistogramText(std::string& out, const std::string& name,
                        const std::vector<std::string>& labels,
                        const std::vector<std::string>& values, const Histogram& histogram,
                        bool seconds) {
  int64_t below = 0;
  for (size_t i = 0; i <= histogram.cutoffs().size(); ++i) {
    below += histogram.bucket(i);
    const std::string le = i == histogram.cutoffs().size() ? "+Inf"
                           : seconds ? fmt::format("{}", histogram.cutoffs()[i] / 1e9)
                                     : fmt::format("{}", histogram.cutoffs()[i]);
    fmt::format_to(std::back_inserter(out), "{}_bucket{} {}\n", name,
                   LabelText(labels, values, fmt::format("le=\"{}\"", le)), below);
  }
  const std::string label_text = LabelText(labels, values);
  const std::string sum = seconds ? fmt::format("{}", static_cast<double>(histogram.total()) / 1e9)
                                  : fmt::format("{}", histogram.total());
  fmt::format_to(std::back_inserter(out), "{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, label_text,
                 sum, below);
}

std::string HistogramJson(const Histogram& histogram, std::string_view total_name) {
  std::string out = "{";
  int64_t count = 0;
  for (size_t i = 0; i <= histogram.cutoffs().size(); ++i) {
    const int64_t bucket = histogram.bucket(i);
    count += bucket;
    if (i < histogram.cutoffs().size()) {
      fmt::format_to(std::back_inserter(out), "\"{}\": {}, ", histogram.cutoffs()[i], bucket);
    } else {
      fmt::format_to(std::back_inserter(out), "\"inf\": {}, ", bucket);
    }
  }
  fmt::format_to(std::back_inserter(out), "\"Count\": {}, \"{}\": {}}}", count, total_name,
                 histogram.total());
  return out;
}

struct ReadValues {
  CallbackKind kind;
  std::vector<std::string> labels;
  std::function<std::vector<MetricSample>()> read;
};
struct ReadText {
  std::function<std::string()> read;
};
struct Timings {
  MetricFamily<Histogram> family;
  bool in_seconds;
};
using Metric =
    std::variant<std::unique_ptr<MetricFamily<Counter>>, std::unique_ptr<MetricFamily<Gauge>>,
                 std::unique_ptr<Timings>, ReadValues, ReadText>;

struct Entry {
  std::string name, help;
  uint64_t id = 0;
  Metric metric;
};

std::vector<MetricSample> Samples(const Metric& metric) {
  std::vector<MetricSample> samples;
  const auto take = [&](const std::vector<std::string>& values, const auto& child) {
    samples.push_back({values, child.value()});
  };
  if (const auto* counters = std::get_if<0>(&metric)) (*counters)->ForEach(take);
  if (const auto* gauges = std::get_if<1>(&metric)) (*gauges)->ForEach(take);
  if (const auto* values = std::get_if<ReadValues>(&metric)) samples = values->read();
  return samples;
}

const std::vector<std::string>& LabelsOf(const Metric& metric) {
  static const std::vector<std::string> none;
  if (const auto* counters = std::get_if<0>(&metric)) return (*counters)->labels();
  if (const auto* gauges = std::get_if<1>(&metric)) return (*gauges)->labels();
  if (const auto* timings = std::get_if<2>(&metric)) return (*timings)->family.labels();
  if (const auto* values = std::get_if<ReadValues>(&metric)) return values->labels;
  return none;
}

bool IsCounter(const Metric& metric) {
  if (const auto* values = std::get_if<ReadValues>(&metric)) {
    return values->kind == CallbackKind::kCounter;
  }
  return std::holds_alternative<std::unique_ptr<MetricFamily<Counter>>>(metric);
}

void PrintText(std::string& out, const std::string& name, const Entry& entry) {
  if (std::holds_alternative<ReadText>(entry.metric)) return;
  const auto* timings = std::get_if<2>(&entry.metric);
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name,
                 PrometheusEscape(entry.help, false),
                 timings != nullptr        ? "histogram"
                 : IsCounter(entry.metric) ? "counter"
                                           : "gauge");
  const std::vector<std::string>& labels = LabelsOf(entry.metric);
  if (timings != nullptr) {
    (*timings)->family.ForEach(
        [&](const std::vector<std::string>& values, const Histogram& histogram) {
          PrintHistogramText(out, name, labels, values, histogram, (*timings)->in_seconds);
        });
    return;
  }
  for (const MetricSample& sample : Samples(entry.metric)) {
    CHECK_MSG(sample.values.size() == labels.size(), entry.name);
    fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, LabelText(labels, sample.values),
                   sample.value);
  }
}

std::string TimingsJson(const Timings& timings) {
  std::string histograms;
  std::string alone = "{}";
  int64_t count = 0;
  int64_t total = 0;
  timings.family.ForEach([&](const std::vector<std::string>& values, const Histogram& histogram) {
    alone = HistogramJson(histogram, timings.in_seconds ? "Time" : "Total");
    count += histogram.count();
    total += histogram.total();
    fmt::format_to(std::back_inserter(histograms), "{}{}: {}", histograms.empty() ? "" : ", ",
                   JsonText(JoinedKey(values)), alone);
  });
  if (!timings.in_seconds) return alone;
  return fmt::format("{{\"TotalCount\": {}, \"TotalTime\": {}, \"Histograms\": {{{}}}}}", count,
                     total, histograms);
}

std::string MetricJson(const Metric& metric) {
  if (const auto* text = std::get_if<ReadText>(&metric)) return JsonText(text->read());
  if (const auto* timings = std::get_if<2>(&metric)) return TimingsJson(**timings);
  const std::vector<MetricSample> samples = Samples(metric);
  if (LabelsOf(metric).empty()) {
    return samples.empty() ? "0" : fmt::format("{}", samples[0].value);
  }
  std::string out;
  for (const MetricSample& sample : samples) {
    fmt::format_to(std::back_inserter(out), "{}{}: {}", out.empty() ? "" : ", ",
                   JsonText(JoinedKey(sample.values)), sample.value);
  }
  return '{' + out + '}';
}

}  // namespace

Histogram::Histogram(const std::vector<int64_t>& cutoffs) : cutoffs_(cutoffs) {
  CHECK(cutoffs.size() <= kMaxCutoffs);
}

int64_t Histogram::count() const {
  int64_t count = 0;
  for (size_t i = 0; i <= cutoffs_.size(); ++i) count += bucket(i);
  return count;
}

template <class T>
T& MetricFamily<T>::With(const std::vector<std::string>& values) {
  CHECK(values.size() == labels_.size());
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = children_.find(values);
  if (found == children_.end()) {
    const bool full = children_.size() >= kLimit;
    found = children_.try_emplace(full ? std::vector<std::string>(labels_.size(), "other") : values)
                .first;
    if (found->second == nullptr) {
      if constexpr (std::is_same_v<T, Histogram>) {
        found->second = std::make_unique<T>(cutoffs_);
      } else {
        found->second = std::make_unique<T>();
      }
    }
  }
  return *found->second;
}

template <class T>
void MetricFamily<T>::ForEach(
    const std::function<void(const std::vector<std::string>&, const T&)>& visit) const {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [values, child] : children_) visit(values, *child);
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

struct Metrics::State {
  mutable std::mutex mutex;
  std::map<std::string, Entry, std::less<>> entries;
  uint64_t last_id = 0;

  // The entry `name`, made by `make` when there is none.
  template <class T, class Make>
  T& Owned(std::string_view name, std::string_view help, const std::vector<std::string>& labels,
           Make make) {
    std::lock_guard<std::mutex> lock(mutex);
    auto [at, is_new] = entries.try_emplace(std::string(name));
    Entry& entry = at->second;
    if (is_new) entry = {std::string(name), std::string(help), ++last_id, make()};
    auto* metric = std::get_if<std::unique_ptr<T>>(&entry.metric);
    CHECK_MSG(metric != nullptr && LabelsOf(entry.metric) == labels,
              fmt::format("metric {} was added before with another kind or labels", name));
    return **metric;
  }
  // A callback takes the place of an older one: its owner may be made anew before the old one goes.
  uint64_t Read(std::string_view name, std::string_view help, Metric metric) {
    std::lock_guard<std::mutex> lock(mutex);
    Entry& entry = entries[std::string(name)];
    CHECK_MSG(entry.id == 0 || std::holds_alternative<ReadValues>(entry.metric) ||
                  std::holds_alternative<ReadText>(entry.metric),
              fmt::format("metric {} was added before and is no callback", name));
    entry = {std::string(name), std::string(help), ++last_id, std::move(metric)};
    return entry.id;
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Metrics& Metrics::Process() {
  static Metrics* const metrics = new Metrics();  // never destroyed: threads may outlive main
  return *metrics;
}

Counter& Metrics::AddCounter(std::string_view name, std::string_view help) {
  return AddCounters(name, help, {}).With({});
}

Gauge& Metrics::AddGauge(std::string_view name, std::string_view help) {
  return AddGauges(name, help, {}).With({});
}

MetricFamily<Counter>& Metrics::AddCounters(std::string_view name, std::string_view help,
                                            std::vector<std::string> labels) {
  return state_->Owned<MetricFamily<Counter>>(
      name, help, labels, [&] { return std::make_unique<MetricFamily<Counter>>(labels); });
}

MetricFamily<Gauge>& Metrics::AddGauges(std::string_view name, std::string_view help,
                                        std::vector<std::string> labels) {
  return state_->Owned<MetricFamily<Gauge>>(
      name, help, labels, [&] { return std::make_unique<MetricFamily<Gauge>>(labels); });
}

MetricFamily<Histogram>& Metrics::AddTimings(std::string_view name, std::string_view help,
                                             std::vector<std::string> labels) {
  Timings& timings = state_->Owned<Timings>(name, help, labels, [&] {
    return std::unique_ptr<Timings>(
        new Timings{MetricFamily<Histogram>(labels, TimingCutoffs()), true});
  });
  return timings.family;
}

Histogram& Metrics::AddHistogram(std::string_view name, std::string_view help,
                                 std::vector<int64_t> cutoffs) {
  Timings& histogram = state_->Owned<Timings>(name, help, {}, [&] {
    return std::unique_ptr<Timings>(new Timings{MetricFamily<Histogram>({}, cutoffs), false});
  });
  return histogram.family.With({});
}

Metrics::Callback Metrics::AddCallback(std::string_view name, std::string_view help,
                                       CallbackKind kind, std::function<int64_t()> read) {
  auto read_one = [read = std::move(read)] {
    return std::vector<MetricSample>{MetricSample{{}, read()}};
  };
  return AddCallback(name, help, kind, {}, std::move(read_one));
}

Metrics::Callback Metrics::AddCallback(std::string_view name, std::string_view help,
                                       CallbackKind kind, std::vector<std::string> labels,
                                       std::function<std::vector<MetricSample>()> read) {
  return {this, state_->Read(name, help, ReadValues{kind, std::move(labels), std::move(read)})};
}

Metrics::Callback Metrics::AddText(std::string_view name, std::function<std::string()> read) {
  return {this, state_->Read(name, "", ReadText{std::move(read)})};
}

void Metrics::Remove(uint64_t id) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  std::erase_if(state_->entries, [&](const auto& item) { return item.second.id == id; });
}

Metrics::Callback::Callback(Callback&& other) noexcept
    : metrics_(std::exchange(other.metrics_, nullptr)), id_(other.id_) {}

Metrics::Callback& Metrics::Callback::operator=(Callback&& other) noexcept {
  std::swap(metrics_, other.metrics_);
  std::swap(id_, other.id_);
  return *this;
}

Metrics::Callback::~Callback() {
  if (metrics_ != nullptr) metrics_->Remove(id_);
}

std::string Metrics::PrometheusText(std::string_view program) const {
  std::string out;
  const std::string prefix = std::string(program) + '_';
  std::lock_guard<std::mutex> lock(state_->mutex);
  for (const auto& [name, entry] : state_->entries) {
    const std::string snake = PrometheusName(name);
    PrintText(out, snake.starts_with(prefix) ? snake : prefix + snake, entry);
  }
  return out;
}

std::string Metrics::VarsJson() const {
  std::string out = "{\n";
  std::lock_guard<std::mutex> lock(state_->mutex);
  for (const auto& [name, entry] : state_->entries) {
    if (out.size() > 2) out += ",\n";
    out += JsonText(name) + ": " + MetricJson(entry.metric);
  }
  return out + "\n}\n";
}

std::string PrometheusName(std::string_view name) {
  // Vitess writes these two words without an underscore inside.
  std::string from(name);
  for (const auto& [word, plain] :
       {std::pair<std::string_view, std::string_view>{"VSchema", "vschema"},
        {"VtGate", "vtgate"}}) {
    for (size_t at = from.find(word); at != std::string::npos; at = from.find(word, at)) {
      from.replace(at, word.size(), plain);
    }
  }
  std::string out;
  for (size_t i = 0; i < from.size(); ++i) {
    const char c = from[i];
    const bool after_lower = i > 0 && IsLower(from[i - 1]);
    const bool starts_word =
        i > 0 && IsUpper(from[i - 1]) && i + 1 < from.size() && IsLower(from[i + 1]);
    if (IsUpper(c) && (after_lower || starts_word)) out += '_';
    out += !IsNameByte(c) ? '_' : IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string JsonText(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const unsigned char c = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      // Angle brackets too: a browser that takes the page for HTML finds no tag in it.
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

}  // namespace paceline
