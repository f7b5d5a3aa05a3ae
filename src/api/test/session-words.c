/* What goes on record of a command, and what does not. */
#include "api/session.h"
#include "tests/tap.h"

static char *recorded(const char *json)
{
    _cleanup_json_ json_t *command = NULL;

    ok(json_parse(json, strlen(json), &command, NULL) >= 0);
    _cleanup_json_ json_t *words = session_words(command);
    return json_text(words);
}

TEST(secrets_are_left_out)
{
    static const struct {
        const char *typed, *recorded;
    } cases[] = {
        { "[\"env\",\"HF_TOKEN=hf_abc\",\"python3\"]", "[\"env\",\"HF_TOKEN=...\",\"python3\"]" },
        { "[\"login\",\"--password\",\"hunter2\",\"me\"]",
          "[\"login\",\"--password\",\"...\",\"me\"]" },
        { "[\"login\",\"--password=hunter2\"]", "[\"login\",\"--password=...\"]" },
        { "[\"login\",\"--token\"]", "[\"login\",\"--token\"]" },
        { "\"export AWS_SECRET_ACCESS_KEY='a b'; make\"",
          "\"export AWS_SECRET_ACCESS_KEY=...; make\"" },
        { "\"login --password hunter2 && ls\"", "\"login --password ... && ls\"" },
        { "[\"curl\",\"-H\",\"Authorization: Bearer abc\"]",
          "[\"curl\",\"-H\",\"Authorization: ...\"]" },
        { "\"git clone https://me:abc@example.org/x\"",
          "\"git clone https://me:...@example.org/x\"" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *got = recorded(cases[i].typed);
        is_str(got, cases[i].recorded);
    }
}

TEST(all_else_stays_as_it_was_typed)
{
    static const char *const cases[] = {
        "[\"sh\",\"-c\",\"echo $HOME; a=1 b:2 --lr 3\"]",
        "\"python3 train.py --tokenizer bpe --steps=3\"",
        "\"curl https://example.org:8080/x http://me@example.org\"",
        "[]",
        "[\"\"]",
        "[\"\xc3\xa9t\xc3\xa9\",\"a\\nb\"]",
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *got = recorded(cases[i]);
        is_str(got, cases[i]);
    }
}

TAP_MAIN
