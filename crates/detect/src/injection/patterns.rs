//! The expressions. Each is looked for in a value that was decoded, in lower case, with one blank for many.

/// What only an attack has: it ends the value it stands in, and goes on in the language behind it.
pub const SQL: &[&str] = &[
    // union select, with what a list of columns looks like
    r#"\bunion( all| distinct)?[ (]*select\b ?[(]*('|"|`|\*|@|\d|null\b|char ?\(|concat|group_concat|[\w.@$]+ ?(,|\()|[\w.]+ from [\w.`]+)"#,
    // a quote that ends a value, and a condition
    r#"['"`] ?\)* ?(or|and|xor|\|\||&&)\b? ?\(*(not )?['"`]?[\w@.$-]+['"`]? ?(=|<|>|!|~|\^|like\b|ilike\b|glob\b|rlike\b|regexp\b|is\b|in\b|between\b|not\b|collate\b|escape\b|\()"#,
    r#"['"`] ?(or|and|xor|\|\||&&) ?['"`]?\w+['"`]? ?(--|#|;)|['"`] ?(or|and|xor|\|\||&&) ?['"`]?(\d+|true|false|null)['"`]?$"#,
    r#"['"`] ?(or|and|xor) ?['"`] ?[\w ]*['"`]? ?(=|<|>|like)"#,
    // conditions that are always true, or never
    r#"\b(or|and|xor|having|where|when|\|\||&&) ?\(*['"`]?(\d+)['"`]? ?(=|<=>|<|>|!=|like|is not|is) ?['"`(]?\d+"#,
    r#"\b(or|and) ['"`]([^'"`]{1,20})['"`] ?(=|like) ?['"`]"#,
    // another statement
    r#"[;'")] ?(drop|truncate|alter|create) (table|database|user|view|index|function|procedure|schema|login)\b"#,
    r#"[;'")] ?(insert into|delete from|replace into) ?[\w`.]+"#,
    r#"[;'")] ?update [\w`.]+ set\b"#,
    r#"[;'")] ?(exec|execute) ?\(?(xp_|sp_|master|immediate|dbo)"#,
    r#"[;'")] ?declare ?@\w"#,
    r#"\bwaitfor (delay|time) ?['"]"#,
    // functions that a request has no use for, called as a value
    r#"(^|['")(=;,|&*+-]|\b(select|and|or|if|xor|when|then|by)) ?\(*(sleep|benchmark|pg_sleep|dbms_pipe\.receive_message|dbms_lock\.sleep|randomblob) ?\( ?['"(\d-]"#,
    r#"\b(extractvalue|updatexml|xmltype|load_file|utl_inaddr\.get_host_address|utl_http\.request|sys_eval|sys_exec|lo_import|lo_export|xp_cmdshell|json_extract|group_concat) ?\( ?['"(\d@]"#,
    r#"\bexec(ute)? (master\.\.?|dbo\.)?(xp_|sp_)\w+"#,
    r#"\binto (out|dump)file ['"\\]"#,
    r#"\bselect\b.{0,80}\bfrom (information_schema|pg_catalog|mysql\.|sysobjects|sqlite_master|all_tables|dual\b)"#,
    r#"\( ?select\b.{1,120}\b(from|case|concat|sleep|count ?\(|load_file)"#,
    r#"['"`] ?;? ?(--|#)[ -]*$"#,
    r#"['"`)] ?(order|group) by \d+"#,
    r#"/\*!\d{0,5} ?(union|select|or|and|from|where)\b"#,
    r#"\bprocedure analyse ?\("#,
    r#"\(\w+ ?\w*::(int|text|jsonb|json|bigint)\b|\)::(int|text|bigint|double precision)\b"#,
    r#"['"}] ?(::jsonb?)? ?(<@|@>|\?\||\?&|->) ?['"a]"#,
];

/// What an attack begins with, and a question about SQL has as well.
pub const SQL_POSSIBLE: &[&str] = &[
    r#"\bunion( all| distinct)? select\b"#,
    r#"\bselect\b.{1,200}\bfrom\b"#,
    r#"\bselect ?[(@*'"\d]|\bselect (case|user|concat|char|version|id|null|\w+ where|\w+ group by|group_concat|load_file|benchmark|sleep|iif|pg_sleep|\w+ ?,)"#,
    r#"\b(insert into|delete from|drop (table|\w+ ?;)|create table|alter table|truncate table|alter a|execute immediate)\b"#,
    r#"(^|[^\w.])(abs|ascii|avg|benchmark|cast|ceil|char|chr|coalesce|concat|concat_ws|convert|cos|count|current_user|database|date|db_name|decode|default|div|elt|encode|exp|floor|format|group_concat|hex|if|ifnull|insert|isnull|json_build_object|length|likelihood|ln|load_file|log|lower|ltrim|max|md5|mid|min|minute|mod|month|name_const|now|nullif|overlay|password|pg_sleep|pi|pow|power|rand|regexp_replace|replace|reverse|round|rtrim|schema|sha1|sign|sin|sleep|soundex|sqrt|starts_with|substr|substring|sysdate|system_user|trim|unhex|unistr|upper|user|uuid|values|version|xmltype|year|day|function) ?(/\*.{0,20}\*/ ?)?[=?!$|&]*\("#,
    r#"\b\d+ ?(=|!=|<=>|<>|like|is not|regexp) ?\d+\b"#,
    r#"['"`] ?(not )?(like|regexp|rlike|glob|between|collate|notnull|isnull|sounds like|similar to|is not|is null|ilike|in \()"#,
    r#"\b(not )?(like null|regexp$|like \(|in ?\( ?(\d|select|')|is not null|not between ['"]|not regexp|<=>)"#,
    r#"\b(information_schema|pg_catalog|sysobjects|msysaccessobjects|northwind|schema_name|sqlite_master|xp_cmdshell|sp_executesql|sp_password|utl_http|openrowset|nvarchar|msdasql|sysdatabases|pg_user)\b"#,
    r#"['"`] ?(or|and|xor|\|\||&&|div|mod) ?['"`\w(!~-]"#,
    r#"\b(or|and|xor)[ '"`(]+\w+['"`]? ?(=|<|>|!|-|\()|\b(and|or) ?\(|\b(and|or)$|\b(or|and) ['"].{0,40}(::|->|@>|<@)"#,
    r#"\b(or|and) \d+ ?(#|--|$|[=<>@!-])|\bxor ['\d]|(&&|\|\|) ?\(?\w+ ?(=|!|\()|(&&|\|\|) ?\d"#,
    r#"['"`] ?(--|#|/\*|;)|--( |-|$)['"]?$|;-- |'[=;]|=['"]|/\*!|/\*\+"#,
    r#"\b(order|group) by\b|\bhaving (count|\d|\w+ ?\()|\bexcept (select|values)|\bfrom ?[(`]"#,
    r#"['"`)] as ['"`]?\w+['"`]? ?from\b|['"`)] ?as ?['"`]?\w+['"`]? from|\bas ['"`]\w+['"`] from| as not from"#,
    r#"; ?(set @|set |drop|update|insert|select|print|declare)|declare ?@|@@\w+"#,
    r#"['"`] ?[*/+%^&|<>=!~?-] ?[\w'"`({]|['"`] ?['"`] ?[\d,'"`]"#,
    r#"\b0x[0-9a-f]{6,}|\b\d\.e ?\(|\\x2[23]|\blimit \d|from [`\w.]+ (limit|where|order|group)\b"#,
    r#"[()!@#$%^&*=;'"-]{7,}|\{ ?"\$\w+"|"\$(ne|gt|lt|in|or|exists|where|regex|elemmatch|text)""#,
    r#"\b(execute|exec) ?[(@]|^execute \w|^drop ?\w+table|^order by|^regexp$|['"] ?(alter|union)/|md5\\?\(|\b(in|day|ln|default)\b[^\w]{1,4}\(|\bwaitfor\b|\bcreate function|\bif exists ?\("#,
];

pub const SCRIPT: &[&str] = &[
    r#"< ?script\b[^>]*>[^<]{0,300}[(=\[]|< ?script\b[^>]{0,200}\bsrc ?="#,
    r#"< ?\w+:script\b"#,
    r#"<[a-z][\w:-]*[ /][^>]{0,400}?\bon[a-z]{3,40} ?="#,
    r#"(href|src|data|action|formaction|url|style|background)[ "'=(:]+.{0,20}(javascript|vbscript|livescript) ?:"#,
    r#"\b(javascript|vbscript) ?: ?[/"'(\w]*?(alert|prompt|confirm|eval|document|window|location|/\*|"/|top\b|self\b)"#,
    r#"<(iframe|object|embed|svg|math|applet|meta|base|link|form|video|audio|img|body|input|details|marquee|isindex|frame|layer|bgsound|\?import|v:vmlframe|xss|animate|set)\b[^>]{0,300}(src|href|data|srcdoc|http-equiv|xlink|charset|implementation|on\w+) ?="#,
    r#"< ?!entity|xlink:href|<xi:include|xsi:schemalocation|<!doctype [^>]{0,80}\["#,
    r#"\bdocument ?(/\*.{0,20}\*/ ?)?\. ?(/\*.{0,20}\*/ ?)?(cookie|location|write|domain|queryselector)|\bwindow\.location ?="#,
    r#"\b(document|self|window|top|this|globalthis)[ )]*(/\*.{0,20}\*/ ?)*\[ ?(/\*.{0,20}\*/ ?)?['"]"#,
    r#"\{\{.{0,80}constructor|constructor\.constructor"#,
    r#"['">] ?on(load|error|click|mouse\w+|focus|blur|key\w+|toggle|animation\w+|pointer\w+|zoom|begin) ?= ?['"\w]{0,10}.{0,60}\("#,
    r#"(expression|@im\\?port) ?[('"]"#,
    r#"\+adw-|\bfromcharcode ?\("#,
];

pub const SCRIPT_POSSIBLE: &[&str] = &[
    r#"< ?/?script\b|<style\b|<a href|< ?x ?: ?script|xmlns|<!--#|-->|<[a-z]+ [a-z-]+ ?="#,
    r#"\bon[a-z]{4,40} ?= ?['"]?|\b(javascript|vbscript|data) ?:[^/ ]| ja&?\w*;?vascript|j ?a ?v ?a ?s ?c ?r ?i ?p ?t ?:"#,
    r#"\b(alert|prompt|confirm|eval|settimeout|setinterval|execscript) ?[(`\]"]"#,
    r#"!\[\]|\[\]\[|\(!\[\]|\]\[\(!|\.(call|apply|bind|map)`|\$\{alert"#,
    r#"\.(textcontent|innerhtml|outerhtml|queryselector|globaleval)\b|\bin [\w.]+ ?=|\\u0\d\d\d.*="#,
    r#"url\(javascript|\[ ?"cookie"|\xc2[\xbc\xbe]"#,
];

const COMMANDS: &str = r#"(cat|ls|ll|id|whoami|who|uname|pwd|ps|wget|curl|nc|ncat|netcat|bash|sh|zsh|ksh|dash|ping|nslookup|dig|python[\d.]*|perl|php|ruby|node|gcc[\d.]*|chmod|chown|rm|cp|mv|tail|head|more|less|find|grep|awk|sed|base64|xxd|echo|printf|env|export|set|ifconfig|ip|route|netstat|ssh|scp|ftp|tftp|telnet|crontab|sudo|su|kill|nohup|time|strace|gdb|vi|vim|ex|ed|top|lastlog|at|rmt|date|dir|type|net|cmd|powershell|pwsh|certutil|mshta|regedit|rundll32|bitsadmin|wmic|tasklist|taskkill|systeminfo|iex|iwr|invoke-\w+|flock|cpulimit|busybox|socat|column|comm|bridge|uconv|ansible[\w-]*|chef[\w-]*|cscli|visudo|aptitude|perf|zstdcat|gunzip|bcdboot|aa-\w+|c89|c99|alias|rmt-\w+|tac|rev)"#;

pub fn command() -> Vec<String> {
    let c = COMMANDS;
    vec![
        format!(r#"[;|&`\n] ?(["']?)[\w./\\$-]*\b{c}["']?( [-/.~$"'\\{{<>!*:]| https?:| \d+\.\d+\.\d+| [\w./-]*[/.][\w./-]+|<<<|$|[;|&`)])"#),
        format!(r#"(\$\(|`|<\() ?[\w./]*\b{c}\b"#),
        r#"\(\) ?\{ ?:? ?;? ?\}? ?;|\(\) ?\{ ?[:.\w]+(\(\))? ?[|&] ?[:.\w]+"#.to_owned(),
        r#"\$\{ifs\}|\$ifs\b"#.to_owned(),
        r#"(^|[ ;|&`'"=>])/?(usr/)?(s?bin|local/bin)/(\[?\w)"#.to_owned(),
        r#"(cat|more|less|tail|head|type|vi|nano|cp|ls|grep)\b.{0,60}(/etc/|/var/log|/proc/|\.\./|c:\\|passwd)"#.to_owned(),
        r#"\b(cmd(\.exe)?|command) /[ck]\b|\bpowershell(\.exe)? (-|\w+\.|c:|http|iex|\(|/)|\binvoke-(webrequest|expression|command)\b"#.to_owned(),
        r#"\b(system|exec|passthru|shell_exec|popen|proc_open|pcntl_exec|os\.system|subprocess\.\w+) ?\( ?['"]"#.to_owned(),
        r#"(\\n|\n|\r) ?(mail from|rcpt to|data|quit|helo|ehlo|auth|retr|list|stat|dele|vrfy|expn|noop|top)\b ?(:|<|\d|$|\w+ \w+=*$)"#.to_owned(),
        r#"(\\n|\n|\r) ?\w{1,6} (append|status|uid|examine|list|store|search|select|fetch|login|copy|expunge)\b"#.to_owned(),
        r#"\| ?(sh|bash|zsh|cmd)\b ?($|[;|&`<-]|\\n)"#.to_owned(),
        r#"<!--#exec"#.to_owned(),
    ]
}

pub fn command_possible() -> Vec<String> {
    let c = COMMANDS;
    vec![
        format!(r#"^["'`]?{c}["']? ?(-{{1,2}}\w|/\w|\w+[./]|\$\()"#),
        format!(r#"^["'`]?(time|nohup|strace|sudo|env|busybox)["']?[ ;]+\w"#),
        format!(r#"[;|&] ?["']?(\\?\w){{0,12}}\b{c}\b"#),
        r#"\bfor\b ?(/[dflr]\b.{0,60})? ?%{1,2}\S+ +in ?\("#.to_owned(),
        r#"\bif\b ?(/i )?(not )?(exist|defined|errorlevel|\(?["\[{%!x(]?[%!]?\S*["\]})%!]? ?(==|equ|neq|lss|leq|gtr|geq)|\{?\S+ == ?)"#.to_owned(),
        r#"\$[\({@?_$]|\$\w+ -c|[<>]\(|~[+-]?\d?$|\{[\w,/?$"-]*,[\w,/?$"-]*\}"#.to_owned(),
        r#"/[\w?]*\?[\w?]*\?[\w?/]*|/\w*\[[\w!/]+\]\w*|/\w*\*/?[\w*]*|\w\[\w///\]"#.to_owned(),
        r#"(^|[;|& /])\w+(''|""|\\|\$[@_?$]|\$\(\))\w+|^['"]\w{1,4}['"]\w+|(^|\W)'\w+'\w{2,} "#.to_owned(),
        r#"\balias\b ?['"+-]?\w|\b(system|exec|eval) ?\(|^!(\d|!)|;\\n\.| \. ?shell"#.to_owned(),
        r#"(^|[=/])(usr/)?s?bin/\w|\.docker|whoami|wget |invoke-|ansible|chef-|\bperf --|cscli"#.to_owned(),
        r#"[:.\w]+\(\) ?\{.{0,40}\}"#.to_owned(),
    ]
}

pub const PATH: &[&str] = &[
    r#"(\.\.[/\\]){2,}|\.\.[/\\].{0,40}(etc|windows|winnt|boot\.ini|win\.ini|passwd|shadow|proc|web\.config|\.env|\.ssh)"#,
    r#"\.{3}[/\\]\.{3}[/\\]"#,
    r#"(^|[=:'".,;(<>|`]|\bcat |\bfile )/?etc/(passwd|shadow|group|hosts|subuid|subgid|master\.passwd|sudoers|crontab|issue|ssh/)"#,
    r#"\b(boot|win|system)\.ini\b|/proc/self/|/windows/system32|c:\\(windows|boot)|web-inf/web\.xml"#,
    r#"0x5c0x2e|%c0%ae|%252e|\.\.%5c|\.\.%2f|\.\.\\"#,
    r#"(file|php|zip|phar|expect|gopher|dict|jar)://.{0,60}(/etc/|filter|input|\.\.)"#,
    r#"(^|/)\.(env|git/|svn/|hg/|ssh/|aws/|htpasswd|htaccess|docker/|kube/|npmrc|netrc|pgpass|bash_history|\w{2,12}ignore$)"#,
    // Settings in a directory that hides.
    r#"(^|/)\.[a-z][\w-]{2,20}/[\w./-]*\.(json|toml|ya?ml|env|md|sh)$"#,
];

pub const PATH_POSSIBLE: &[&str] = &[
    r#"\.\.[/\\]|filename=["']?\.\."#,
    r#"(^|=|[ >])/(sys|proc|dev|tmp|root|var/(log|lib|backups))/\w"#,
    r#"\.(sql|bak|old|backup|swp|pem|key|kdbx|env|ini|log)(\.(gz|zip|tar|bz2))?$"#,
];
